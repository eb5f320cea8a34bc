#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "forwarding/pipeline.hpp"
#include "forwarding/schedulers/schedule_builder.hpp"
#include "tests/support/eal_fixture.hpp"
#include "tests/support/packet_builder.hpp"

namespace nlvs::test {

/// A director in memory: tables as control publishes them, workers without threads or NICs.
/// One port; everything that is not local is reached through one neighbour.
class Director {
public:
    /// What came out of one worker.
    struct Sent {
        std::vector<Bytes> frames;  ///< to the NIC, whole frames
        std::vector<Bytes> punted;  ///< to the kernel
    };

    explicit Director(std::uint16_t workers = 1)
        : Director{forwarding::Steering{workers}} {}

    explicit Director(const forwarding::Steering& steering)
        : shared_{configuration_, templates_, steering, 11} {
        const std::uint16_t workers = steering.workers();
        set(ipvs::Sysctls{});
        add_route({net::Ipv4Address{std::uint32_t{0}}, 0}, forwarding::NextHop::Type::unicast);
        add_route({net::Ipv6Address{}, 0}, forwarding::NextHop::Type::unicast);
        add_neighbour();
        forwarding::prepare_bypass(configuration_.destinations);
        for (std::uint16_t id = 0; id < workers; ++id) {
            workers_.push_back(std::make_unique<Worker>(shared_, id));
            workers_.back()->state.counters.destinations.ensure(forwarding::bypass_destination.value);
        }
    }

    void set(
        const ipvs::Sysctls& sysctls, std::int64_t available_pages = forwarding::plenty_of_memory
    ) {
        publish(forwarding::make_settings({}, sysctls, available_pages));
    }

    void publish(const forwarding::Settings& settings) {
        configuration_.settings.publish(
            std::make_unique<const forwarding::Settings>(settings), reclaimer_
        );
    }

    /// What the director calls itself towards everybody.
    void set_own_addresses(const net::IpAddress& v4, const net::IpAddress& v6) {
        auto own = std::make_unique<forwarding::OwnAddresses>();
        for (const auto& address : {v4, v6}) own->entries.push_back({1, address, {address, 8}});
        configuration_.own_addresses.publish(std::move(own), reclaimer_);
    }

    /// The server of a service with a persistence engine may begin calls.
    void add_calling_server(const forwarding::Service& service, const forwarding::ServiceDestination& server) {
        auto calling = std::make_unique<forwarding::CallingServer>();
        calling->key = {17, server.address, server.port};
        calling->service = service.key;
        calling->destination = server.id;
        configuration_.calling_servers.insert(std::move(calling), reclaimer_);
        ++configuration_.calling_server_count;
    }

    /// A route through the neighbour whose MTU is less than the link's.
    void add_narrow_route(const net::Prefix& prefix, std::uint16_t mtu) {
        add_route(prefix, forwarding::NextHop::Type::unicast, mtu);
    }

    void add_local(const net::IpAddress& address) {
        add_route({address, address.bits()}, forwarding::NextHop::Type::local);
    }

    /// From now on frames count as received only by these: the port's own address without tags, and
    /// what receive_also() adds.
    void set_port_mac(const net::MacAddress& mac) {
        configuration_.ports[0].mac = forwarding::station_word(mac);
        receive_also(mac, {});
    }

    void receive_also(const net::MacAddress& mac, const std::array<std::uint16_t, 2>& tags) {
        forwarding::Ingress ingress;
        ingress.key = {0, forwarding::station_word(mac), tags};
        ingress.interface = ingress.input = input;
        receive_as(ingress);
    }

    void receive_as(const forwarding::Ingress& ingress) {
        configuration_.ingress.insert(std::make_unique<forwarding::Ingress>(ingress), reclaimer_);
    }

    void add_route(const net::Prefix& prefix, const forwarding::NextHop& hop) {
        auto route = std::make_unique<forwarding::Route>();
        route->single = hop;
        table(prefix.address())
            .insert(forwarding::RoutingPolicy::main_table, prefix, std::move(route), reclaimer_);
    }

    forwarding::Configuration& configuration() noexcept { return configuration_; }

    /// Interfaces by which frames come in and leave.
    static constexpr std::uint32_t input = 2;
    static constexpr std::uint32_t output = 1;

    static net::IpAddress gateway() { return net::Ipv4Address{std::uint32_t{0x0A0000FE}}; }

    /// The neighbour is in a VLAN from now on.
    void tag_neighbour(std::uint16_t ether_type, std::uint16_t id) {
        const net::Be16 words[2]{net::Be16{ether_type}, net::Be16{id}};
        std::memcpy(adjacency_.l2.data() + 12, words, sizeof(words));
        adjacency_.l2_length = 18;
    }

    /// As `ip rule add fwmark MARK lookup 100; ip route add local default dev lo table 100`.
    void lead_to_host(std::uint32_t mark) {
        constexpr std::uint32_t table = 100;
        std::vector<forwarding::RoutingRule> rules(3);
        rules[0].table = local;
        rules[1].table = table;
        rules[1].selective = true;
        rules[1].mark = mark;
        rules[1].mark_mask = ~0U;
        rules[2].table = forwarding::RoutingPolicy::main_table;
        configuration_.routes_v4.set_rules(std::move(rules), reclaimer_);
        auto route = std::make_unique<forwarding::Route>();
        route->single.type = forwarding::NextHop::Type::local;
        configuration_.routes_v4.insert(table, {net::Ipv4Address{}, 0}, std::move(route), reclaimer_);
    }

    /// As `ip rule add …` before the look-up in main, of IPv4; the tables are there once they have a route.
    void set_rule(forwarding::RoutingRule rule) {
        std::vector<forwarding::RoutingRule> rules(3);
        rules[0].table = local;
        rules[1] = rule;
        rules[1].selective = true;
        rules[2].table = forwarding::RoutingPolicy::main_table;
        configuration_.routes_v4.set_rules(std::move(rules), reclaimer_);
        ++configuration_.routing_generation;
    }

    void remove_local(const net::IpAddress& address) {
        table(address).remove(local, {address, address.bits()}, reclaimer_);
    }

    /// A service under construction; publish() makes it visible.
    forwarding::Service service(std::uint8_t protocol, const net::IpAddress& address, std::uint16_t port) {
        forwarding::Service result;
        result.id = {next_service_};
        result.key = ipvs::EndpointKey{protocol, address, net::Port{port}};
        result.scheduler = forwarding::SchedulerKind::rr;
        for (auto& worker : workers_) worker->state.schedulers.ensure(next_service_);
        ++next_service_;
        return result;
    }

    /// … by firewall mark.
    forwarding::Service service(net::Family family, std::uint32_t mark) {
        forwarding::Service result = service(0, net::IpAddress{}, 0);
        result.key = ipvs::FirewallMarkKey{family, mark};
        ++configuration_.firewall_mark_services;
        return result;
    }

    /// The rules of IPv4 give every packet what `steps` come to.
    void set_marks(std::vector<forwarding::MarkStep> steps, std::vector<std::byte> constants = {}) {
        auto program = std::make_unique<forwarding::MarkProgram>();
        program->steps = std::move(steps);
        program->constants = std::move(constants);
        configuration_.marks_v4.publish(std::move(program), reclaimer_);
    }

    forwarding::DestinationSlot& add_destination(
        forwarding::Service& service, const net::IpAddress& address, std::uint16_t port,
        forwarding::ForwardingMethod method = forwarding::ForwardingMethod::masquerade
    ) {
        const std::uint32_t id = next_destination_++;
        configuration_.destinations.ensure(id);
        for (auto& worker : workers_) worker->state.counters.destinations.ensure(id);
        forwarding::DestinationSlot& slot = configuration_.destinations[id];
        slot.adjacency = &configuration_.adjacencies[0];
        slot.weight = 1;
        slot.available = true;
        slot.method = method;
        slot.address = address;
        slot.port = net::Port{port};
        service.destinations.push_back({{id}, &slot, address, slot.port, method, 1, 1});
        if (method == forwarding::ForwardingMethod::masquerade) {
            const auto* key = std::get_if<ipvs::EndpointKey>(&service.key);
            const std::vector<std::uint8_t> marked{6, 17, 132};
            for (const std::uint8_t protocol : key != nullptr ? std::vector{static_cast<std::uint8_t>(key->protocol)} : marked) {
                auto server = std::make_unique<forwarding::RealServer>();
                server->key = {protocol, address, slot.port};
                if (server->key.port.is_any()) ++configuration_.any_port_servers;
                configuration_.real_servers.insert(std::move(server), reclaimer_);
            }
            if (key != nullptr && key->port == net::Port{std::uint16_t{21}}) {
                auto server = std::make_unique<forwarding::RealServer>();
                server->key = {6, address, {}};
                ++configuration_.any_port_servers;
                configuration_.real_servers.insert(std::move(server), reclaimer_);
            }
        }
        return slot;
    }

    void publish(forwarding::Service service) {
        builder_.bind(service);
        const bool v4 = ipvs::family_of(service.key) == net::Family::inet;
        ++(v4 ? configuration_.services_v4 : configuration_.services_v6);
        configuration_.services.insert(
            std::make_unique<const forwarding::Service>(std::move(service)), reclaimer_
        );
    }

    /// The destination becomes one that is the director itself.
    void make_local(forwarding::DestinationSlot& slot) {
        slot.local = true;
        slot.adjacency = nullptr;
        configuration_.serves_locally = true;
    }

    /// Gives `frame` to worker `id`, then lets every worker take over what was handed to it.
    Sent receive(const Bytes& frame, forwarding::WorkerId id = 0) {
        rte_mbuf* packet = to_mbuf(frame);
        const forwarding::Time now{rte_rdtsc(), ticks_};
        workers_[id]->pipeline.run(0, &packet, 1, now);
        return hand_over(now);
    }

    /// The same for a frame that the kernel sends through the shadow interface.
    Sent inject(const Bytes& frame, forwarding::WorkerId id = 0) {
        rte_mbuf* packet = to_mbuf(frame);
        const forwarding::Time now{rte_rdtsc(), ticks_};
        workers_[id]->pipeline.run_injected(0, &packet, 1, now);
        return hand_over(now);
    }

    /// Lets time pass and timers run.
    void advance(std::uint32_t seconds) {
        ticks_ += seconds * forwarding::ticks_per_second;
        for (auto& worker : workers_) worker->pipeline.run_timers({rte_rdtsc(), ticks_}, 1U << 20);
    }

    /// What has left since the last look.
    Sent collect_sent() { return collect(); }

    std::uint32_t connections(forwarding::WorkerId id = 0) const {
        return workers_[id]->state.connections_v4.size() + workers_[id]->state.connections_v6.size();
    }

    const forwarding::WorkerCounters& counters(forwarding::WorkerId id = 0) const {
        return workers_[id]->state.counters;
    }

    std::uint64_t drops(forwarding::DropReason reason, forwarding::WorkerId id = 0) const {
        return counters(id).drops[static_cast<std::size_t>(reason)].read();
    }

    forwarding::WorkerState& state(forwarding::WorkerId id = 0) { return workers_[id]->state; }

    forwarding::Ticks ticks() const noexcept { return ticks_; }

    forwarding::Shared& shared() noexcept { return shared_; }

    forwarding::PersistenceTable& templates() noexcept { return templates_; }

private:
    class Sink final : public forwarding::BurstSink {
    public:
        std::uint16_t transmit(forwarding::PortIndex, rte_mbuf** packets, std::uint16_t count) noexcept override {
            return keep(sent.frames, packets, count);
        }

        std::uint16_t punt(forwarding::PortIndex, rte_mbuf** packets, std::uint16_t count) noexcept override {
            return keep(sent.punted, packets, count);
        }

        Sent sent;

    private:
        static std::uint16_t keep(std::vector<Bytes>& to, rte_mbuf** packets, std::uint16_t count) {
            for (std::uint16_t i = 0; i < count; ++i) {
                to.push_back(to_bytes(packets[i]));
                rte_pktmbuf_free(packets[i]);
            }
            return count;
        }
    };

    struct Worker {
        Worker(forwarding::Shared& shared, forwarding::WorkerId id)
            : state{id, 4096, 0x5EEDU + id, sink}, pipeline{shared, state} {}

        Sink sink;
        forwarding::WorkerState state;
        forwarding::Pipeline pipeline;
    };

    static constexpr std::uint32_t local = forwarding::RoutingPolicy::local_table;

    forwarding::RoutingPolicy& table(const net::IpAddress& address) {
        return address.is_v4() ? configuration_.routes_v4 : configuration_.routes_v6;
    }

    void add_route(
        const net::Prefix& prefix, forwarding::NextHop::Type type, std::uint16_t mtu = 0
    ) {
        auto route = std::make_unique<forwarding::Route>();
        route->single.mtu = mtu;
        route->single.type = type;
        route->single.interface = 1;
        route->single.via = gateway();
        const bool is_local = type == forwarding::NextHop::Type::local;
        const std::uint32_t number = is_local ? local : forwarding::RoutingPolicy::main_table;
        table(prefix.address()).insert(number, prefix, std::move(route), reclaimer_);
    }

    void add_neighbour() {
        configuration_.adjacencies.ensure(0);
        adjacency_.l2_length = 14;
        const Bytes header = (ethernet() / payload(0)).frame();
        std::copy_n(header.begin(), 12, adjacency_.l2.begin());
        configuration_.adjacencies[0].node = &adjacency_;
        auto neighbour = std::make_unique<forwarding::Neighbour>();
        neighbour->key = {1, gateway()};
        neighbour->adjacency = {0};
        neighbour->slot = &configuration_.adjacencies[0];
        configuration_.neighbours.insert(std::move(neighbour), reclaimer_);
    }

    Sent hand_over(forwarding::Time now) {
        for (auto& worker : workers_) {
            std::array<rte_mbuf*, forwarding::Pipeline::burst_size> taken;
            const auto count = shared_.hand_over.take(worker->state.id, taken.data(), taken.size());
            if (count != 0) worker->pipeline.run_taken_over(taken.data(), count, now);
        }
        // What a packet becomes there may be another one's: a datagram whole.
        for (auto& worker : workers_) {
            if (shared_.hand_over.pending(worker->state.id)) return hand_over(now);
        }
        return collect();
    }

    Sent collect() {
        Sent all;
        for (auto& worker : workers_) {
            worker->state.output.flush();
            Sent sent = std::exchange(worker->sink.sent, {});
            for (auto& frame : sent.frames) all.frames.push_back(std::move(frame));
            for (auto& frame : sent.punted) all.punted.push_back(std::move(frame));
        }
        return all;
    }

    forwarding::Adjacency adjacency_;
    forwarding::QuiescentState quiescence_;
    forwarding::Reclaimer reclaimer_{quiescence_};
    forwarding::Configuration configuration_;
    forwarding::ScheduleBuilder builder_;
    forwarding::PersistenceTable templates_{configuration_.destinations, 7, forwarding::Clock{}.read().ticks};
    forwarding::Shared shared_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::uint32_t next_service_ = 0;
    std::uint32_t next_destination_ = 0;
    forwarding::Ticks ticks_ = forwarding::Clock{}.read().ticks;
};

}  // namespace nlvs::test
