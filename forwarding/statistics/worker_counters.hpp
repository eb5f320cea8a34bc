#pragma once

#include <array>

#include "compat/ipvs/statistics.hpp"
#include "forwarding/config/slot_array.hpp"
#include "forwarding/identifiers.hpp"
#include "forwarding/statistics/counter.hpp"
#include "forwarding/statistics/drop_reason.hpp"

namespace nlvs::forwarding {

/// What one worker counts for one destination: one cache line, the only statistics written per
/// packet. Services and totals are sums that control keeps.
struct alignas(64) DestinationCounters {
    Counter connections;
    Counter in_packets;
    Counter out_packets;
    Counter in_bytes;
    Counter out_bytes;

    void count_in(std::uint64_t packets, std::uint64_t bytes) noexcept {
        in_packets.add(packets);
        in_bytes.add(bytes);
    }

    void count_out(std::uint64_t packets, std::uint64_t bytes) noexcept {
        out_packets.add(packets);
        out_bytes.add(bytes);
    }

    ipvs::Totals read() const noexcept {
        return {
            connections.read(), in_packets.read(), out_packets.read(), in_bytes.read(),
            out_bytes.read()
        };
    }
};

static_assert(sizeof(DestinationCounters) == 64);

/// Per port: what came in and went out, and where it went.
struct alignas(64) PortCounters {
    Counter received;
    Counter transmitted;
    Counter punted;    ///< NIC → shadow interface
    Counter injected;  ///< shadow interface → NIC
};

/// All counters of one worker. Thread: written by its worker, read by any.
struct WorkerCounters {
    SlotArray<DestinationCounters> destinations;  ///< by DestinationId
    std::array<PortCounters, max_ports> ports;
    std::array<Counter, drop_reasons> drops;
    Counter balanced;         ///< packets of services, either direction
    Counter routed;           ///< packets of no service
    Counter handed_over;      ///< given to another worker
    Counter taken_over;       ///< received from another worker
    Counter opened;           ///< connections
    Counter expired;
    Counter marks_asked;      ///< packets put to the rules that set firewall marks
    Counter marks_undecided;  ///< of these: only the kernel can tell, and got them
    Counter sync_announced;   ///< connections and templates, to the sync master
    Counter sync_lost;        ///< announcements that control was too slow for
    Counter sync_taken;       ///< news of connections from another director
    Counter sync_refused;     ///< of these: no room, or at odds with a connection of our own
    Counter busy_cycles;      ///< TSC spent in loops that found work
    Counter idle_cycles;      ///< TSC spent in empty polls
    Counter sleeps;

    void drop(DropReason reason) noexcept { drops[static_cast<std::size_t>(reason)].add(1); }
};

}  // namespace nlvs::forwarding
