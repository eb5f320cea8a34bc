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
/// not fit or waits too long is counted as dropped. A neighbour has a share of the room, so that
/// one that is dead and in demand takes nothing from the others. When the first that waits for it has
/// waited long enough, those behind have, too.
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

    /// `now` is when it begins to wait.
    void hold(WaitingPacket waiting, Ticks now, WorkerCounters& counters) noexcept {
        waiting.deadline = now + patience;
        if (count_ == capacity || join(waiting, now) >= share) {
            rte_pktmbuf_free(waiting.packet);
            counters.drop(DropReason::neighbour_unresolved);
            return;
        }
        waiting_[count_++] = waiting;
    }

    /// Sends what can go now in order of arrival: send(packet, family, adjacency). Who has waited too
    /// long is given up, and with it its packet: give_up(packet, family). Either may hold others.
    template <class Send, class GiveUp>
    void retry(
        const Configuration& configuration, Ticks now, WorkerCounters& counters, Send&& send,
        GiveUp&& give_up
    ) noexcept {
        const std::size_t before = count_;
        std::size_t kept = 0;
        for (std::size_t i = 0; i < before; ++i) {
            const WaitingPacket waiting = waiting_[i];
            if (const Adjacency* adjacency = resolve(configuration, waiting)) {
                send(waiting.packet, waiting.family, *adjacency);
            } else if (is_over(waiting, now)) {
                counters.drop(DropReason::neighbour_unresolved);
                give_up(waiting.packet, waiting.family);
            } else {
                waiting_[kept++] = waiting;
            }
        }
        for (std::size_t i = before; i < count_; ++i) waiting_[kept++] = waiting_[i];
        count_ = kept;
    }

private:
    static bool is_over(const WaitingPacket& waiting, Ticks now) noexcept {
        return static_cast<std::int32_t>(now - waiting.deadline) >= 0;
    }

    /// How many wait for the same, with the first of whom the packet gives up.
    std::size_t join(WaitingPacket& one, Ticks now) const noexcept {
        std::size_t found = 0;
        for (std::size_t i = 0; i < count_; ++i) {
            const WaitingPacket& other = waiting_[i];
            const bool same = other.slot == one.slot &&
                              (one.slot != nullptr || other.neighbour == one.neighbour);
            if (!same || is_over(other, now)) continue;
            if (found++ == 0) one.deadline = other.deadline;
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
