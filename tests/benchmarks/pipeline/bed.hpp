#pragma once

#include <rte_cycles.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "forwarding/connections/persistence.hpp"
#include "forwarding/nic/buffer_pool.hpp"
#include "forwarding/pipeline.hpp"
#include "forwarding/schedulers/schedule_builder.hpp"
#include "tests/benchmarks/pipeline/client.hpp"

namespace nlvs::bench {

using namespace forwarding;

inline constexpr unsigned burst = Pipeline::burst_size;
inline constexpr unsigned real_servers = 16;

struct Shape {
    ForwardingMethod method = ForwardingMethod::masquerade;
    bool ipv6 = false;
    std::uint8_t protocol = 17;
    ipvs::Timeouts timeouts;
};

/// A director with one service, its real servers and everything on link.
class Director {
public:
    explicit Director(const Shape& shape) : shape_{shape} {
        Configuration& tables = configuration_;
        tables.settings.publish(
            std::make_unique<const Settings>(make_settings(shape.timeouts, {})), reclaimer_
        );
        tables.adjacencies.ensure(0);
        auto adjacency = std::make_unique<Adjacency>();
        adjacency->l2_length = 14;
        tables.adjacencies[0].node.store(adjacency.get());
        adjacency_ = std::move(adjacency);
        add_route({address(shape.ipv6, 0), 0}, NextHop::Type::unicast);
        add_route({virtual_address(), virtual_address().bits()}, NextHop::Type::local);
        auto gateway = std::make_unique<Neighbour>();
        gateway->key = {1, gateway_address()};
        gateway->adjacency = {0};
        gateway->slot = &tables.adjacencies[0];
        tables.neighbours.insert(std::move(gateway), reclaimer_);
        (shape.ipv6 ? tables.services_v6 : tables.services_v4) = 1;
        for (std::uint32_t i = 0; i < real_servers; ++i) fill_destination(i);
        publish_service(1);
    }

    net::IpAddress virtual_address() const { return address(shape_.ipv6, 0x0A000001); }

    Configuration& configuration() noexcept { return configuration_; }

    QuiescentState& quiescence() noexcept { return quiescence_; }

    Reclaimer& reclaimer() noexcept { return reclaimer_; }

    /// What `ipvsadm -e ... -w weight` on its first destination comes to. Thread: control.
    void publish_service(std::int32_t weight) {
        auto service = std::make_unique<Service>();
        service->id = {0};
        service->key = ipvs::EndpointKey{
            shape_.protocol, virtual_address(), net::Port{std::uint16_t{53}}};
        service->scheduler = SchedulerKind::rr;
        for (std::uint32_t i = 0; i < real_servers; ++i) {
            DestinationSlot& slot = configuration_.destinations[i];
            if (i == 0) slot.weight = weight;
            service->destinations.push_back(
                {{i}, &slot, slot.address, slot.port, shape_.method, slot.weight, slot.weight}
            );
        }
        builder_.bind(*service);
        configuration_.services.insert(std::move(service), reclaimer_);
    }

    /// A route that no packet of the benchmark takes. Thread: control.
    void change_route(std::uint32_t number, bool present) {
        const net::Prefix prefix{address(shape_.ipv6, 0xC0000000 + number), virtual_address().bits()};
        if (present) {
            add_route(prefix, NextHop::Type::unicast);
        } else {
            auto& table = shape_.ipv6 ? configuration_.routes_v6 : configuration_.routes_v4;
            table.remove(RoutingPolicy::main_table, prefix, reclaimer_);
        }
        configuration_.routing_generation.fetch_add(1, std::memory_order_release);
    }

private:
    net::IpAddress gateway_address() const { return address(shape_.ipv6, 0x0A0000FE); }

    void add_route(const net::Prefix& prefix, NextHop::Type type) {
        auto route = std::make_unique<Route>();
        route->single.type = type;
        route->single.interface = 1;
        route->single.via = gateway_address();
        auto& table = shape_.ipv6 ? configuration_.routes_v6 : configuration_.routes_v4;
        const bool local = type == NextHop::Type::local;
        table.insert(
            local ? RoutingPolicy::local_table : RoutingPolicy::main_table, prefix, std::move(route), reclaimer_
        );
    }

    void fill_destination(std::uint32_t i) {
        configuration_.destinations.ensure(i);
        DestinationSlot& slot = configuration_.destinations[i];
        slot.adjacency = &configuration_.adjacencies[0];
        slot.weight = 1;
        slot.available = true;
        slot.method = shape_.method;
        slot.address = address(shape_.ipv6, 0x0A010001 + i);
        slot.port = net::Port{std::uint16_t{53}};
        if (shape_.method == ForwardingMethod::tunnel) {
            tunnels_.push_back(std::make_unique<TunnelHeader>(
                build_tunnel_header(slot.address, gateway_address(), {})
            ));
            slot.tunnel = tunnels_.back().get();
        }
    }

    const Shape shape_;
    QuiescentState quiescence_;
    Reclaimer reclaimer_{quiescence_};
    Configuration configuration_;
    ScheduleBuilder builder_;
    std::unique_ptr<const Adjacency> adjacency_;
    std::vector<std::unique_ptr<TunnelHeader>> tunnels_;
};

/// Keeps what the pipeline sends, so that the next burst can use the same buffers.
class Collector final : public BurstSink {
public:
    std::uint16_t transmit(PortIndex, rte_mbuf** packets, std::uint16_t count) noexcept override {
        const auto room = static_cast<std::uint16_t>(kept_.size() - kept_count_);
        const std::uint16_t taken = std::min(count, room);
        std::copy_n(packets, taken, kept_.begin() + kept_count_);
        kept_count_ += taken;
        return taken;
    }

    std::uint16_t punt(PortIndex, rte_mbuf** packets, std::uint16_t count) noexcept override {
        for (std::uint16_t i = 0; i < count; ++i) rte_pktmbuf_free(packets[i]);
        return count;
    }

    unsigned take(rte_mbuf** packets) noexcept {
        std::copy_n(kept_.begin(), kept_count_, packets);
        return std::exchange(kept_count_, 0);
    }

private:
    std::array<rte_mbuf*, burst * 2> kept_{};
    unsigned kept_count_ = 0;
};

/// One worker and the buffers of its bursts.
class BenchWorker {
public:
    BenchWorker(
        Shared& shared, WorkerId id, std::uint32_t maximum_connections, rte_mempool* pool
    )
        : state{id, maximum_connections, 0x5EED, collector}, pipeline{shared, state} {
        state.schedulers.ensure(0);
        for (std::uint32_t i = 0; i < real_servers; ++i) state.counters.destinations.ensure(i);
        for (auto& packet : buffers) packet = rte_pktmbuf_alloc(pool);
    }

    /// One turn of a worker's loop around the burst in `buffers`, which come back sent; cycles
    /// that it took. A lost packet ends the benchmark.
    std::uint64_t turn(Time now) noexcept {
        const std::uint64_t start = rte_rdtsc_precise();
        pipeline.run(0, buffers.data(), burst, now);
        pipeline.run_timers(now, 64);
        state.output.flush();
        const std::uint64_t cycles = rte_rdtsc_precise() - start;
        if (collector.take(buffers.data()) != burst) {
            std::fprintf(stderr, "packets were lost\n");
            std::exit(1);
        }
        return cycles;
    }

    std::uint64_t turn() noexcept { return turn(state.clock.read()); }

    std::uint32_t connections() const noexcept {
        return state.connections_v4.size() + state.connections_v6.size();
    }

    std::size_t memory() const noexcept {
        return state.connections_v4.memory() + state.connections_v6.memory();
    }

    Collector collector;
    WorkerState state;
    Pipeline pipeline;
    std::array<rte_mbuf*, burst> buffers{};
};

}  // namespace nlvs::bench
