#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <memory>
#include <vector>

#include "compat/ipvs_sync/connection.hpp"
#include "daemon/control_plane.hpp"
#include "daemon/sync_socket.hpp"
#include "daemon/worker_group.hpp"
#include "daemon/worker_mail.hpp"
#include "forwarding/steering.hpp"

namespace nlvs::daemon {

/// What a sync backup has done since the daemon started.
struct SyncBackupCounters {
    std::uint64_t messages = 0;   ///< with a sync id of interest
    std::uint64_t malformed = 0;  ///< messages, or a part of one
    std::uint64_t foreign = 0;    ///< messages with another sync id
    std::uint64_t connections = 0;
    std::uint64_t templates = 0;
    std::uint64_t unbound = 0;  ///< of these: their destination is not known here
    std::uint64_t refused = 0;  ///< not taken: nonsense, or no room
};

/// A running sync backup: takes another director's messages apart and gives each connection to the
/// worker that owns its client's endpoint; templates go straight into the shared table. While the
/// workers are behind it does not read on, so that the kernel's buffer is the only queue.
/// Linux: ip_vs_sync.c sync_thread_backup.
/// Thread: control.
class SyncBackup {
public:
    /// `workers` may be null: everything is understood and nothing is kept. All outlive the backup.
    SyncBackup(
        boost::asio::io_context& context, ControlPlane& control, WorkerMail& mail,
        WorkerGroup* workers, const ipvs::SyncDaemonConfig& config,
        std::vector<SyncSocket> sockets, SyncBackupCounters& counters
    );
    SyncBackup(const SyncBackup&) = delete;
    SyncBackup& operator=(const SyncBackup&) = delete;

private:
    using Socket = boost::asio::posix::stream_descriptor;

    struct Listener {
        Listener(boost::asio::io_context& context, SyncSocket socket)
            : descriptor{context, socket.release()} {}

        Socket descriptor;
        bool waiting = false;
    };

    void wait(Listener& listener);
    void read(Listener& listener);
    void take(const ipvs_sync::Connection& connection);
    void take_template(const ipvs_sync::Connection& connection, forwarding::DestinationId id);
    void hand_out();
    void handed_out();

    ControlPlane& control_;
    WorkerMail& mail_;
    WorkerGroup* workers_;
    SyncBackupCounters& counters_;
    std::uint32_t sync_id_;
    forwarding::Steering steering_;
    std::vector<std::byte> buffer_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::vector<std::vector<forwarding::SyncedConnection>> batches_;  ///< by worker
    std::size_t outstanding_ = 0;                                     ///< requests to workers
    std::shared_ptr<SyncBackup*> self_;                               ///< expires with the backup
};

}  // namespace nlvs::daemon
