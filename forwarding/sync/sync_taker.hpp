#pragma once

#include "forwarding/connections/lifecycle.hpp"
#include "forwarding/mailbox.hpp"
#include "forwarding/worker_state.hpp"

namespace nlvs::forwarding {

/// The worker's part of a sync backup: makes and updates the connections of another director.
/// Control has chosen this worker, as the owner of the client's endpoint, and has looked up the
/// destination; where it found none, the slot is one of UnboundDestinations.
/// Linux: ip_vs_sync.c ip_vs_proc_conn.
/// Thread: its worker.
class SyncTaker {
public:
    SyncTaker(Shared& shared, WorkerState& worker) noexcept
        : shared_{shared}, worker_{worker}, lifecycle_{shared, worker} {}

    /// Answers WorkerRequest::Kind::take_connections.
    void take(const WorkerRequest& request, Ticks now) noexcept;

private:
    /// What news about a connection make of the one that is there.
    enum class Fate : std::uint8_t { updated, replaced, newer_than_news };

    template <class F>
    void take_one(const SyncedConnection& synced, const Settings& settings, Ticks now) noexcept;
    template <class F>
    Fate fate_of(const Connection<F>& present, const SyncedConnection& synced) noexcept;
    template <class F>
    void update(Connection<F>& present, const SyncedConnection& synced) noexcept;
    template <class F>
    Connection<F>* make(const SyncedConnection& synced, Ticks now) noexcept;

    DestinationSlot& slot(DestinationId id) noexcept {
        return shared_.configuration.destinations[id.value];
    }

    static constexpr std::uint32_t packets_mask = (1U << 28) - 1;

    Shared& shared_;
    WorkerState& worker_;
    Lifecycle lifecycle_;
};

}  // namespace nlvs::forwarding
