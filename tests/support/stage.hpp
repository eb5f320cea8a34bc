#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/control_plane.hpp"
#include "forwarding/pipeline.hpp"
#include "forwarding/transmit/tunnel.hpp"
#include "tests/support/eal_fixture.hpp"
#include "tests/support/packet_layers.hpp"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace nlvs::test {

/// Ends the program when a property does not hold.
inline void require(bool condition, const char* what) {
    if (condition) return;
    std::fprintf(stderr, "stage: %s\n", what);
    std::abort();
}

/// Where destinations lead on the stage: the host's own addresses, a server without a route, all
/// others behind one neighbour. Thread: any (there is one).
class StageTracker final : public daemon::DestinationTracker {
public:
    static constexpr std::uint32_t servers = 0;  ///< adjacency slot

    StageTracker(forwarding::Configuration& configuration, forwarding::Reclaimer& reclaimer)
        : configuration_{configuration}, reclaimer_{reclaimer} {}

    StageTracker(const StageTracker&) = delete;
    StageTracker& operator=(const StageTracker&) = delete;

    ~StageTracker() override {
        for (auto* slot : tracked_) delete slot->tunnel.exchange(nullptr);
    }

    void track(
        forwarding::DestinationId, forwarding::DestinationSlot& slot, const net::IpAddress& address,
        ipvs::ForwardingMethod method, const ipvs::Tunnel& tunnel
    ) override {
        const auto type = address_type(address);
        const bool local = type == daemon::AddressType::local;
        if (local) configuration_.serves_locally = true;
        slot.local = local;
        slot.set_link_mtu(mtu);
        const bool leads = !local && !is_unreachable(address);
        std::unique_ptr<forwarding::TunnelHeader> header;
        // Connections keep the method they began with.
        if (leads && (method == ipvs::ForwardingMethod::tunnel || slot.tunnel != nullptr)) {
            header = std::make_unique<forwarding::TunnelHeader>(forwarding::build_tunnel_header(
                address, *net::parse_ip_address(address.is_v4() ? "192.168.1.1" : "2001:db8:1::1"),
                tunnel
            ));
        }
        replace(slot, std::move(header));
        slot.adjacency = leads ? &configuration_.adjacencies[servers] : nullptr;
        tracked_.insert(&slot);
    }

    void untrack(forwarding::DestinationId id) override {
        forwarding::DestinationSlot& slot = configuration_.destinations[id.value];
        slot.adjacency = nullptr;
        slot.local = false;
        replace(slot, nullptr);
        tracked_.erase(&slot);
    }

    daemon::AddressType address_type(const net::IpAddress& address) const override {
        const bool v4 = address.is_v4();
        const auto& bytes = address.bytes();
        const bool own = v4 ? bytes[0] == 127 || bytes[3] == 1 : bytes[15] == 1;
        return own ? daemon::AddressType::local : daemon::AddressType::unicast;
    }

    void set_mtu(std::uint16_t value) {
        mtu = value;
        for (auto* slot : tracked_) slot->set_link_mtu(value);
    }

private:
    static bool is_unreachable(const net::IpAddress& address) {
        return address.bytes()[address.is_v4() ? 3 : 15] == 99;
    }

    void replace(
        forwarding::DestinationSlot& slot, std::unique_ptr<forwarding::TunnelHeader> header
    ) {
        const auto* old = slot.tunnel.exchange(header.release());
        reclaimer_.retire(std::unique_ptr<const forwarding::TunnelHeader>{old});
    }

    forwarding::Configuration& configuration_;
    forwarding::Reclaimer& reclaimer_;
    std::uint16_t mtu = 1500;
    std::set<forwarding::DestinationSlot*> tracked_;
};

/// A whole director without threads and NICs: the control plane, the pipelines of its workers and
/// the tables between them. Time passes when told to, the same in every run. One port; clients and
/// servers are behind one neighbour each.
class Stage {
public:
    /// What came out of all workers, whole frames.
    struct Sent {
        std::vector<Bytes> frames;  ///< to the NIC
        std::vector<Bytes> punted;  ///< to the kernel
    };

    explicit Stage(std::uint16_t workers, std::uint32_t maximum_connections)
        : shared_{*configuration_, templates_, forwarding::Steering{workers}, 1},
          tracker_{*configuration_, reclaimer_} {
        for (std::uint16_t id = 0; id < workers; ++id) {
            workers_.push_back(std::make_unique<Worker>(shared_, id, maximum_connections));
        }
        control_.emplace(*configuration_, reclaimer_, access(), tracker_, [](const std::string&) {
            return std::optional<std::uint32_t>{1500};
        });
        control_->set_expire_connections([this] {
            for (auto& worker : workers_) worker->pipeline.expire_unavailable();
        });
        lay_routes();
    }

    daemon::ControlPlane& control() noexcept { return *control_; }

    forwarding::Configuration& configuration() noexcept { return *configuration_; }

    /// One packet that a worker will see with the next deliver().
    struct Arrival {
        Bytes frame;
        std::size_t worker = 0;
        std::size_t segment = 2048;
        bool from_host = false;
        bool guarded = false;  ///< not a fragment: reassembly writes behind the end
    };

    void arrive(const Arrival& arrival) {
        rte_mbuf* packet = to_mbuf(arrival.frame, arrival.segment);
        for (rte_mbuf* part = packet; arrival.guarded && part != nullptr; part = part->next) {
            guard(part);
        }
        auto& worker = *workers_[arrival.worker % workers_.size()];
        (arrival.from_host ? worker.injected : worker.received).push_back(packet);
    }

    Sent deliver() {
        const forwarding::Time now = time();
        for (auto& worker : workers_) {
            in_bursts(worker->received, [&](rte_mbuf** packets, unsigned count) {
                worker->pipeline.run(0, packets, count, now);
            });
            in_bursts(worker->injected, [&](rte_mbuf** packets, unsigned count) {
                worker->pipeline.run_injected(0, packets, count, now);
            });
        }
        hand_over(now);
        return flush();
    }

    Sent advance(std::uint32_t ticks) {
        run_timers(ticks);
        run_control(ticks_ - start_);
        return flush();
    }

    // With a thread for the workers: that one calls arrive(), deliver() and run_timers(), and reports to
    // quiescence(); control's calls run_control() and everything else.

    forwarding::QuiescentState& quiescence() noexcept { return quiescence_; }

    void run_timers(std::uint32_t ticks) {
        ticks_ += ticks;
        for (auto& worker : workers_) worker->pipeline.run_timers(time(), 1U << 20);
    }

    /// `ticks` since the beginning.
    void run_control(std::uint32_t ticks) {
        templates_.reserve(64);
        templates_.expire(start_ + ticks, 1U << 20);
        control_->scan_trash(daemon::DestinationTrash::Clock::time_point{
            std::chrono::milliseconds{std::uint64_t{ticks} * 125}
        });
        control_->tick_statistics();
        reclaimer_.collect();
    }

    void collect() { reclaimer_.collect(); }

    void resolve(std::uint32_t adjacency, bool resolved) {
        configuration_->adjacencies[adjacency].node = resolved ? &adjacencies_[adjacency] : nullptr;
        ++configuration_->routing_generation;
    }

    enum class Side : std::uint8_t { servers, clients };

    void set_route_mtu(Side side, std::uint16_t mtu) {
        if (side == Side::servers) return tracker_.set_mtu(mtu);
        add_route(*net::parse_ip_address("10.0.0.0"), 24, forwarding::NextHop::Type::unicast, mtu);
        add_route(*net::parse_ip_address("2001:db8::"), 64, forwarding::NextHop::Type::unicast, mtu);
        ++configuration_->routing_generation;
    }

    void set_link_mtu(Side side, std::uint16_t mtu) {
        adjacencies_[static_cast<std::size_t>(side)].mtu = mtu;
        if (side == Side::servers) tracker_.set_mtu(mtu);
    }

    void set_partial_checksums(bool partial) { shared_.ports[0].partial_checksums = partial; }

    /// All packets get this mark, or none.
    void set_mark(std::optional<std::uint32_t> mark) {
        for (auto* marks : {&configuration_->marks_v4, &configuration_->marks_v6}) {
            marks->publish(make_marks(mark), reclaimer_);
        }
    }

    static std::unique_ptr<forwarding::MarkProgram> make_marks(std::optional<std::uint32_t> mark) {
        std::unique_ptr<forwarding::MarkProgram> program;
        if (mark) {
            program = std::make_unique<forwarding::MarkProgram>();
            program->steps = {
                {.operation = forwarding::MarkOperation::change_mark},
                {.operation = forwarding::MarkOperation::finish}
            };
            program->constants.resize(8);
            std::memcpy(program->constants.data() + 4, &*mark, sizeof(*mark));
        }
        return program;
    }

    /// Everything that a stage remembers of packets ends with time, and what it counted is back.
    /// Call when everything has been delivered.
    void check_forgets() {
        // The longest: an established connection, and then its template a minute at a time.
        for (int i = 0; i < 24 && !remembers_nothing(); ++i) {
            advance(60 * forwarding::ticks_per_second);
        }
        for (auto& worker : workers_) {
            require(worker->state.connections_v4.size() == 0, "a connection of IPv4 is left");
            require(worker->state.connections_v6.size() == 0, "a connection of IPv6 is left");
            require(worker->state.waiting.empty(), "a packet still waits for a neighbour");
            require(worker->state.reassembly.datagrams() == 0, "a datagram is still in pieces");
        }
        require(templates_.size() == 0, "a template is left");
        for (std::uint32_t id = 0; id < control_->destinations_in_use(); ++id) {
            const auto& totals = configuration_->destinations[id].totals;
            require(totals.connections == 0, "a destination still counts connections");
            require(totals.active == 0, "a destination still counts active connections");
            require(totals.persistent == 0, "a destination still counts templates");
        }
        control_->flush();
        for (int i = 0; i < 3; ++i) advance(61 * forwarding::ticks_per_second);
        require(control_->destinations_in_use() == 0, "a destination's slot is never given back");
        require(configuration_->real_servers.size() == 0, "a real server is still known");
        require(configuration_->calling_server_count == 0, "a calling server is still counted");
    }

private:
    bool remembers_nothing() const {
        return templates_.size() == 0 && std::ranges::all_of(workers_, [](const auto& worker) {
            return worker->state.connections_v4.size() + worker->state.connections_v6.size() == 0 &&
                   worker->state.waiting.empty() && worker->state.reassembly.datagrams() == 0;
        });
    }

    class Sink final : public forwarding::BurstSink {
    public:
        std::uint16_t transmit(
            forwarding::PortIndex, rte_mbuf** packets, std::uint16_t count
        ) noexcept override {
            return keep(frames, packets, count);
        }

        std::uint16_t punt(
            forwarding::PortIndex, rte_mbuf** packets, std::uint16_t count
        ) noexcept override {
            return keep(punted, packets, count);
        }

        std::vector<Bytes> frames;
        std::vector<Bytes> punted;

    private:
        static std::uint16_t keep(std::vector<Bytes>& to, rte_mbuf** packets, std::uint16_t count) {
            for (std::uint16_t i = 0; i < count; ++i) {
                rte_mbuf_sanity_check(packets[i], 1);
                Bytes bytes = to_bytes(packets[i]);
                require(bytes.size() == packets[i]->pkt_len, "segments do not add up");
                to.push_back(std::move(bytes));
                rte_pktmbuf_free(packets[i]);
            }
            return count;
        }
    };

    struct Worker {
        Worker(forwarding::Shared& shared, forwarding::WorkerId id, std::uint32_t maximum)
            : state{id, maximum, 0x5EEDU + id, sink}, pipeline{shared, state} {}

        Worker(const Worker&) = delete;
        Worker& operator=(const Worker&) = delete;

        ~Worker() {
            for (auto* packet : received) rte_pktmbuf_free(packet);
            for (auto* packet : injected) rte_pktmbuf_free(packet);
        }

        Sink sink;
        forwarding::WorkerState state;
        forwarding::Pipeline pipeline;
        std::vector<rte_mbuf*> received;
        std::vector<rte_mbuf*> injected;
    };

    template <class Run>
    static void in_bursts(std::vector<rte_mbuf*>& packets, Run&& run) {
        for (std::size_t at = 0; at < packets.size(); at += forwarding::Pipeline::burst_size) {
            const std::size_t count =
                std::min<std::size_t>(packets.size() - at, forwarding::Pipeline::burst_size);
            run(packets.data() + at, static_cast<unsigned>(count));
        }
        packets.clear();
    }

    forwarding::Time time() const noexcept {
        return {std::uint64_t{ticks_} * clock_.cycles_per_tick(), ticks_};
    }

    /// Nobody may look behind the end of what arrived. Lasts for one delivery; the pool hands out
    /// every other buffer before it hands out one of these again.
    void guard(rte_mbuf* part) {
        auto* begin = rte_pktmbuf_mtod(part, std::byte*) + part->data_len;
        auto* end = static_cast<std::byte*>(part->buf_addr) + part->buf_len;
        ASAN_POISON_MEMORY_REGION(begin, static_cast<std::size_t>(end - begin));
        guarded_.emplace_back(begin, static_cast<std::size_t>(end - begin));
    }

    void hand_over(forwarding::Time now) {
        for (auto& worker : workers_) {
            std::array<rte_mbuf*, forwarding::Pipeline::burst_size> taken;
            while (const auto count = shared_.hand_over.take(
                       worker->state.id, taken.data(), static_cast<unsigned>(taken.size())
                   )) {
                worker->pipeline.run_taken_over(taken.data(), count, now);
            }
        }
        // What a packet becomes on its owner may be the first one's again: a datagram whole.
        for (auto& worker : workers_) {
            if (shared_.hand_over.pending(worker->state.id)) return hand_over(now);
        }
    }

    Sent flush() {
        for (const auto& [begin, size] : guarded_) ASAN_UNPOISON_MEMORY_REGION(begin, size);
        guarded_.clear();
        Sent all;
        for (auto& worker : workers_) {
            worker->state.output.flush();
            for (Bytes& one : std::exchange(worker->sink.frames, {})) all.frames.push_back(std::move(one));
            for (Bytes& one : std::exchange(worker->sink.punted, {})) all.punted.push_back(std::move(one));
        }
        return all;
    }

    std::vector<daemon::WorkerAccess> access() {
        std::vector<daemon::WorkerAccess> result;
        for (auto& worker : workers_) {
            result.push_back({&worker->state.counters, &worker->state.schedulers, nullptr, {}});
        }
        return result;
    }

    void lay_routes() {
        for (const std::uint32_t slot : {StageTracker::servers, clients}) {
            configuration_->adjacencies.ensure(slot);
            configuration_->adjacencies[slot].node = &adjacencies_[slot];
            adjacencies_[slot].l2_length = 14;
        }
        using Type = forwarding::NextHop::Type;
        // No default routes: they fill a trie's whole first level, for every script anew.
        for (const char* lan : {"10.0.0.0", "192.168.1.0"}) {
            add_route(*net::parse_ip_address(lan), 24, Type::unicast, 0);
        }
        for (const char* lan : {"2001:db8::", "2001:db8:1::"}) {
            add_route(*net::parse_ip_address(lan), 64, Type::unicast, 0);
        }
        for (const char* own : {"10.0.0.1", "10.0.0.10", "192.168.1.1", "2001:db8::1",
                                "2001:db8::10", "2001:db8:1::1"}) {
            const auto address = *net::parse_ip_address(own);
            add_route(address, address.bits(), Type::local, 0);
        }
        auto neighbour = std::make_unique<forwarding::Neighbour>();
        neighbour->key = {1, gateway_};
        neighbour->adjacency = {clients};
        neighbour->slot = &configuration_->adjacencies[clients];
        configuration_->neighbours.insert(std::move(neighbour), reclaimer_);
        auto own = std::make_unique<forwarding::OwnAddresses>();
        for (const char* name : {"192.168.1.1", "2001:db8:1::1"}) {
            const auto address = *net::parse_ip_address(name);
            own->entries.push_back({1, address, {address, 8}});
        }
        configuration_->own_addresses.publish(std::move(own), reclaimer_);
        auto ingress = std::make_unique<forwarding::Ingress>();
        ingress->key = {0, forwarding::station_word({{0x02, 0, 0, 0, 0, 0x02}}), {}};
        ingress->interface = ingress->input = 2;
        ingress->forwards_v4 = ingress->forwards_v6 = true;
        configuration_->ingress.insert(std::move(ingress), reclaimer_);
    }

    void add_route(
        const net::IpAddress& address, unsigned length, forwarding::NextHop::Type type,
        std::uint16_t mtu
    ) {
        auto route = std::make_unique<forwarding::Route>();
        route->single.type = type;
        route->single.interface = 1;
        route->single.via = gateway_;
        route->single.mtu = mtu;
        const bool local = type == forwarding::NextHop::Type::local;
        auto& policy = address.is_v4() ? configuration_->routes_v4 : configuration_->routes_v6;
        policy.insert(
            local ? forwarding::RoutingPolicy::local_table : forwarding::RoutingPolicy::main_table,
            {address, length}, std::move(route), reclaimer_
        );
    }

    static constexpr std::uint32_t clients = 1;  ///< adjacency slot

    forwarding::Clock clock_;
    std::array<forwarding::Adjacency, 2> adjacencies_;  ///< by slot
    net::IpAddress gateway_ = *net::parse_ip_address("10.0.0.254");
    forwarding::QuiescentState quiescence_;
    forwarding::Reclaimer reclaimer_{quiescence_};
    std::unique_ptr<forwarding::Configuration> configuration_ =
        std::make_unique<forwarding::Configuration>();
    const forwarding::Ticks start_ = clock_.read().ticks + 8;
    forwarding::Ticks ticks_ = start_;
    forwarding::PersistenceTable templates_{configuration_->destinations, 7, start_, 1024};
    forwarding::Shared shared_;
    StageTracker tracker_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::optional<daemon::ControlPlane> control_;
    std::vector<std::pair<std::byte*, std::size_t>> guarded_;
};

}  // namespace nlvs::test
