#pragma once

#include <rte_mbuf.h>

#include <array>
#include <bit>
#include <cstdint>
#include <utility>

#include "forwarding/identifiers.hpp"
#include "forwarding/statistics/worker_counters.hpp"

namespace nlvs::forwarding {

/// Where a worker's packets leave in bursts. Real workers give them to the NICs and shadow
/// interfaces, tests and benchmarks keep them.
/// Thread: its worker.
class BurstSink {
public:
    BurstSink() = default;
    BurstSink(const BurstSink&) = delete;
    BurstSink& operator=(const BurstSink&) = delete;
    virtual ~BurstSink() = default;

    /// Takes the first n packets and returns n; the rest stay with the caller.
    virtual std::uint16_t transmit(PortIndex port, rte_mbuf** packets, std::uint16_t count) noexcept = 0;
    virtual std::uint16_t punt(PortIndex port, rte_mbuf** packets, std::uint16_t count) noexcept = 0;
};

/// Collects a loop's packets per port and sends them together; what a port does not take is
/// dropped and counted, a worker never waits for one.
/// Thread: its worker.
class Output {
public:
    Output(BurstSink& sink, WorkerCounters& counters) noexcept : sink_{sink}, counters_{counters} {}

    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    ~Output() { flush(); }

    void transmit(PortIndex port, rte_mbuf* packet) noexcept {
        Burst& burst = transmit_[port];
        burst.packets[burst.count++] = packet;
        waiting_ |= 1U << port;
        if (burst.count == burst_size) flush_transmit(port);
    }

    void punt(PortIndex port, rte_mbuf* packet) noexcept {
        Burst& burst = punt_[port];
        burst.packets[burst.count++] = packet;
        waiting_ |= 1U << port;
        if (burst.count == burst_size) flush_punt(port);
    }

    void flush() noexcept {
        for (std::uint32_t left = std::exchange(waiting_, 0); left != 0; left &= left - 1) {
            const auto port = static_cast<PortIndex>(std::countr_zero(left));
            if (transmit_[port].count != 0) flush_transmit(port);
            if (punt_[port].count != 0) flush_punt(port);
        }
    }

private:
    static constexpr std::uint16_t burst_size = 32;

    struct Burst {
        std::uint16_t count = 0;
        std::array<rte_mbuf*, burst_size> packets;
    };

    void flush_transmit(PortIndex port) noexcept {
        Burst& burst = transmit_[port];
        const std::uint16_t sent = sink_.transmit(port, burst.packets.data(), burst.count);
        counters_.ports[port].transmitted.add(sent);
        drop_rest(burst, sent, DropReason::transmit_full);
    }

    void flush_punt(PortIndex port) noexcept {
        Burst& burst = punt_[port];
        const std::uint16_t sent = sink_.punt(port, burst.packets.data(), burst.count);
        counters_.ports[port].punted.add(sent);
        drop_rest(burst, sent, DropReason::punt_full);
    }

    void drop_rest(Burst& burst, std::uint16_t sent, DropReason reason) noexcept {
        for (std::uint16_t i = sent; i < burst.count; ++i) {
            rte_pktmbuf_free(burst.packets[i]);
            counters_.drop(reason);
        }
        burst.count = 0;
    }

    BurstSink& sink_;
    WorkerCounters& counters_;
    std::uint32_t waiting_ = 0;  ///< bit n: port n may have packets
    static_assert(max_ports <= 32);
    std::array<Burst, max_ports> transmit_{};
    std::array<Burst, max_ports> punt_{};
};

}  // namespace nlvs::forwarding
