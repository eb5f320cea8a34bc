#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "forwarding/applications/control_connections.hpp"
#include "forwarding/applications/expected_connections.hpp"
#include "forwarding/clock.hpp"
#include "forwarding/config/configuration.hpp"
#include "forwarding/connections/connection_table.hpp"
#include "forwarding/connections/entry_dropper.hpp"
#include "forwarding/connections/persistence.hpp"
#include "forwarding/hand_over_batch.hpp"
#include "forwarding/identifiers.hpp"
#include "forwarding/kernel_path.hpp"
#include "forwarding/mailbox.hpp"
#include "forwarding/neighbour_queue.hpp"
#include "forwarding/output.hpp"
#include "forwarding/packet/reassembly.hpp"
#include "forwarding/schedulers/scheduler.hpp"
#include "forwarding/statistics/worker_counters.hpp"
#include "forwarding/steering.hpp"
#include "forwarding/sync/end_times.hpp"
#include "forwarding/transmit/icmp_reply.hpp"

namespace nlvs::forwarding {

/// How one port behaves, as a worker must know it. Constant while workers run.
struct PortTraits {
    /// A virtual device may hand in packets whose transport checksum is not finished.
    bool partial_checksums = false;
};

/// What all workers of a daemon share: read-mostly tables and the crossings.
struct Shared {
    Shared(
        Configuration& tables, PersistenceTable& persistence, const Steering& choice, std::uint64_t seed
    )
        : configuration{tables},
          templates{persistence},
          expected{tables.destinations, controls, seed},
          hand_over{choice.workers()},
          host_flows{seed},
          steering{choice} {}

    Configuration& configuration;  ///< read only, but for the atomics in DestinationSlot::totals
    PersistenceTable& templates;
    ControlConnections controls;
    ExpectedConnections expected;
    HandOver hand_over;
    HostFlows host_flows;
    Steering steering;
    std::array<PortTraits, max_ports> ports{};
};

/// Everything one worker owns that outlives a packet.
/// Thread: its worker; `counters` any, `mailbox` control as documented there.
struct WorkerState {
    WorkerState(
        WorkerId worker, std::uint32_t maximum_connections, std::uint64_t seed, BurstSink& sink
    )
        : id{worker},
          connections_v4{maximum_connections, seed, clock.read().ticks},
          connections_v6{maximum_connections, ~seed, clock.read().ticks},
          sync_ends{maximum_connections},
          reassembly{seed},
          output{sink, counters},
          random{seed},
          outer_id{static_cast<std::uint16_t>(worker * (0x10000U / max_workers))},
          secret{random.next()} {}

    WorkerState(const WorkerState&) = delete;
    WorkerState& operator=(const WorkerState&) = delete;

    WorkerId id;
    Clock clock;
    WorkerCounters counters;
    ConnectionTable<V4> connections_v4;
    ConnectionTable<V6> connections_v6;
    SyncEndTimes sync_ends;
    SlotArray<SchedulerState> schedulers;  ///< by ServiceId
    IcmpErrorLimiter icmp_errors;
    NeighbourQueue waiting;
    Reassembly reassembly;
    PuntPolicer policer;
    Mailbox mailbox;
    Output output;
    HandOverBatch outgoing;
    RandomSource random;
    /// IPv4 identification of tunnel headers. Workers begin far apart: pieces of two packets to one
    /// server must not carry the same.
    std::uint16_t outer_id;
    std::uint32_t turn = 0;             ///< of the members of bonds that take turns
    std::uint32_t fragmented = 0;       ///< IPv6 packets cut, for their identification
    std::uint64_t secret;
    std::int32_t until_drop = 0;        ///< new connections until drop_packet takes one
    Ticks last_sweep = 0;               ///< when drop_entry last threw connections out
    EntryDropper dropper;

    template <class F>
    ConnectionTable<F>& connections() noexcept {
        if constexpr (std::is_same_v<F, V4>) {
            return connections_v4;
        } else {
            return connections_v6;
        }
    }
};

}  // namespace nlvs::forwarding
