#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>

#include "forwarding/config/configuration.hpp"
#include "forwarding/identifiers.hpp"
#include "forwarding/statistics/worker_counters.hpp"

namespace nlvs::forwarding {

/// A packet that is ready but for its layer-2 header. Data starts at the IP header.
struct WaitingPacket {
    rte_mbuf* packet = nullptr;
    NeighbourKey neighbour;         ///< whom it waits for, unless `slot` is set
    const DestinationSlot* slot = nullptr;  ///< a real server: its adjacency will do
    net::Family family = net::Family::inet;
    Ticks deadline = 0;
};

/// Packets that wait for the kernel to resolve a neighbour: few, and not for long. What does
/// not fit or waits too long is dropped and counted. A neighbour has a share of the room, so that
/// one that is dead and in demand takes nothing from the others.
/// Thread: its worker.
class NeighbourQueue {
public:
    static constexpr std::size_t capacity = 128;
    static constexpr std::size_t share = 16;
    /// The kernel gives up after three probes a second apart.
    static constexpr Ticks patience = 3 * ticks_per_second;

    NeighbourQueue() = default;
    NeighbourQueue(const NeighbourQueue&) = delete;
    NeighbourQueue& operator=(const NeighbourQueue&) = delete;

    ~NeighbourQueue() {
        for (std::size_t i = 0; i < count_; ++i) rte_pktmbuf_free(waiting_[i].packet);
    }

    bool empty() const noexcept { return count_ == 0; }

    void hold(const WaitingPacket& waiting, WorkerCounters& counters) noexcept {
        if (count_ == capacity || waiting_for(waiting) >= share) {
            rte_pktmbuf_free(waiting.packet);
            counters.drop(DropReason::neighbour_unresolved);
            return;
        }
        waiting_[count_++] = waiting;
    }

    /// Sends what can go now in order of arrival: send(packet, family, adjacency).
    template <class Send>
    void retry(const Configuration& configuration, Ticks now, WorkerCounters& counters, Send&& send) noexcept {
        std::size_t kept = 0;
        for (std::size_t i = 0; i < count_; ++i) {
            const WaitingPacket& waiting = waiting_[i];
            if (const Adjacency* adjacency = resolve(configuration, waiting)) {
                send(waiting.packet, waiting.family, *adjacency);
            } else if (static_cast<std::int32_t>(now - waiting.deadline) >= 0) {
                rte_pktmbuf_free(waiting.packet);
                counters.drop(DropReason::neighbour_unresolved);
            } else {
                waiting_[kept++] = waiting;
            }
        }
        count_ = kept;
    }

private:
    std::size_t waiting_for(const WaitingPacket& one) const noexcept {
        std::size_t found = 0;
        for (std::size_t i = 0; i < count_; ++i) {
            const WaitingPacket& other = waiting_[i];
            found += other.slot == one.slot &&
                     (one.slot != nullptr || other.neighbour == one.neighbour);
        }
        return found;
    }

    static const Adjacency* resolve(const Configuration& configuration, const WaitingPacket& waiting) noexcept {
        if (waiting.slot != nullptr) {
            const AdjacencySlot* slot = waiting.slot->adjacency.load(std::memory_order_acquire);
            return slot == nullptr ? nullptr : slot->node.load(std::memory_order_acquire);
        }
        const Neighbour* neighbour = configuration.neighbours.find(waiting.neighbour);
        return neighbour == nullptr ? nullptr : neighbour->slot->node.load(std::memory_order_acquire);
    }

    std::array<WaitingPacket, capacity> waiting_;
    std::size_t count_ = 0;
};

}  // namespace nlvs::forwarding
