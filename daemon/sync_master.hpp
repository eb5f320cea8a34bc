#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "compat/ipvs_sync/message_builder.hpp"
#include "daemon/control_plane.hpp"
#include "daemon/sync_socket.hpp"
#include "daemon/worker_access.hpp"
#include "daemon/worker_group.hpp"

namespace nlvs::daemon {

/// What a sync master has done since the daemon started.
struct SyncMasterCounters {
    std::uint64_t connections = 0;  ///< put into messages, templates included
    std::uint64_t messages = 0;     ///< sent
    std::uint64_t failed = 0;       ///< messages that the kernel refused
    std::uint64_t overflowed = 0;   ///< messages beyond sync_qlen_max
};

/// A running sync master: collects what workers announce, fills messages, sends them.
/// Several sockets are several streams, as the kernel's threads are; a connection is always told
/// by the same one. Linux: ip_vs_sync.c ip_vs_sync_conn, sync_thread_master.
/// Thread: control.
class SyncMaster {
public:
    /// One socket for each stream. `workers` may be null, and then nobody announces anything. All
    /// outlive the master.
    SyncMaster(
        boost::asio::io_context& context, const ControlPlane& control,
        const std::vector<WorkerAccess>& access, WorkerGroup* workers,
        const ipvs::SyncDaemonConfig& config, std::vector<SyncSocket> sockets,
        SyncMasterCounters& counters
    );
    SyncMaster(const SyncMaster&) = delete;
    SyncMaster& operator=(const SyncMaster&) = delete;
    /// What is known by now is still sent, as far as the sockets take it.
    ~SyncMaster();

private:
    using Clock = std::chrono::steady_clock;

    struct Stream {
        SyncSocket socket;
        ipvs_sync::MessageBuilder builder;
        Clock::time_point begun;  ///< of the message in the builder
        std::deque<std::vector<std::byte>> queue;
    };

    void wait();
    void collect();
    void take(const forwarding::SyncAnnouncement& announcement);
    void take(forwarding::TemplateId id);
    void tell(const ipvs_sync::Connection& connection);
    void enqueue(Stream& stream);
    void send(Stream& stream);

    const ControlPlane& control_;
    const std::vector<WorkerAccess>& access_;
    WorkerGroup* workers_;
    SyncMasterCounters& counters_;
    boost::asio::steady_timer timer_;
    std::vector<Stream> streams_;
    /// A timer that has gone off is not cancelled any more: its handler may run after our end.
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nlvs::daemon
