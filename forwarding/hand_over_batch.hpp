#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>

#include "forwarding/identifiers.hpp"
#include "forwarding/statistics/worker_counters.hpp"
#include "forwarding/steering.hpp"

namespace nlvs::forwarding {

/// Packets of one burst that belong to other workers, given away together.
/// Thread: its worker.
class HandOverBatch {
public:
    /// Set in mbuf->port beside the PortIndex when the packet comes from the host.
    static constexpr std::uint16_t from_host = 0x8000;
    /// … when it arrived in fragments: mbuf->hash.usr is the length of the largest then.
    static constexpr std::uint16_t reassembled = 0x4000;

    static constexpr PortIndex port_of(const rte_mbuf& packet) noexcept {
        return static_cast<PortIndex>(packet.port & ~(from_host | reassembled));
    }

    /// `port` travels with the packet in mbuf->port, with or without these.
    void add(
        WorkerId owner, std::uint16_t port, rte_mbuf* packet, HandOver& hand_over, WorkerCounters& counters
    ) noexcept {
        packet->port = port;
        Batch& batch = batches_[owner];
        if (batch.count == 0) owners_[owner_count_++] = owner;
        batch.packets[batch.count++] = packet;
        if (batch.count == batch_size) flush(hand_over, counters);
    }

    void flush(HandOver& hand_over, WorkerCounters& counters) noexcept {
        for (std::uint16_t i = 0; i < owner_count_; ++i) {
            Batch& batch = batches_[owners_[i]];
            const unsigned taken = hand_over.give(owners_[i], batch.packets.data(), batch.count);
            counters.handed_over.add(taken);
            for (unsigned k = taken; k < batch.count; ++k) {
                rte_pktmbuf_free(batch.packets[k]);
                counters.drop(DropReason::handover_full);
            }
            batch.count = 0;
        }
        owner_count_ = 0;
    }

private:
    static constexpr unsigned batch_size = 32;

    struct Batch {
        unsigned count = 0;
        std::array<rte_mbuf*, batch_size> packets;
    };

    std::array<Batch, max_workers> batches_{};
    std::array<WorkerId, max_workers> owners_{};
    std::uint16_t owner_count_ = 0;  ///< batches that hold something
};

}  // namespace nlvs::forwarding
