#pragma once

#include "forwarding/connections/connection.hpp"
#include "forwarding/packet_context.hpp"
#include "forwarding/worker_state.hpp"

namespace nlvs::forwarding {

/// The worker's part of a sync master: which connections the backup is told of, and when.
/// Everything is out of line, for the packet path asks only while a master runs.
/// Linux: ip_vs_sync.c ip_vs_sync_conn, ip_vs_sync_conn_v0.
/// Thread: its worker.
class SyncSender {
public:
    SyncSender(Shared& shared, WorkerState& worker) noexcept : shared_{shared}, worker_{worker} {}

    /// A packet of a client has just been forwarded. What the master cannot take in is counted
    /// and comes again with a later packet.
    template <class F>
    void sync(const PacketContext& context, Connection<F>& connection) noexcept;

private:
    template <class F>
    bool is_due(const PacketContext& context, Connection<F>& connection) noexcept;
    template <class F>
    void announce(const Connection<F>& connection) noexcept;
    void announce_template(TemplateId id, const PacketContext& context) noexcept;
    void send(const SyncAnnouncement& announcement) noexcept;

    Shared& shared_;
    WorkerState& worker_;
};

}  // namespace nlvs::forwarding
