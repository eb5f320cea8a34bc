#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <optional>
#include <vector>

#include "daemon/log.hpp"
#include "daemon/sync_backup.hpp"
#include "daemon/sync_daemons.hpp"
#include "daemon/sync_master.hpp"

namespace nlvs::daemon {

/// The sync daemons at work. Linux: ip_vs_sync.c start_sync_thread, stop_sync_thread.
/// Thread: control.
class ConnectionSync final : public SyncRunner {
public:
    /// `workers` is null in a daemon without ports. All but the log outlive this, and the control
    /// plane knows of it until its end.
    ConnectionSync(
        boost::asio::io_context& context, ControlPlane& control, WorkerMail& mail,
        std::vector<WorkerAccess> access, WorkerGroup* workers, const Log& log
    );
    ConnectionSync(const ConnectionSync&) = delete;
    ConnectionSync& operator=(const ConnectionSync&) = delete;
    ~ConnectionSync() override;

    /// A restored daemon whose interface is not ready yet begins when it is.
    ipvs::Result<void> start(const ipvs::SyncDaemonConfig& config, SyncRoute route) override;
    void stop(SyncRole role) override;

    const SyncMasterCounters& master() const noexcept { return master_counters_; }

    const SyncBackupCounters& backup() const noexcept { return backup_counters_; }

private:
    ipvs::Result<void> begin(const ipvs::SyncDaemonConfig& config);
    ipvs::Result<std::vector<SyncSocket>> open(const ipvs::SyncDaemonConfig& config) const;
    void try_again();

    boost::asio::io_context& context_;
    ControlPlane& control_;
    WorkerMail& mail_;
    std::vector<WorkerAccess> access_;
    WorkerGroup* workers_;
    Log log_;
    /// Linux: both roles have as many threads as sync_ports said when the first of them started.
    std::uint16_t threads_ = 1;
    SyncMasterCounters master_counters_;
    SyncBackupCounters backup_counters_;
    std::optional<SyncMaster> master_;
    std::optional<SyncBackup> backup_;
    std::vector<ipvs::SyncDaemonConfig> waiting_;  ///< for their interface
    boost::asio::steady_timer timer_;
};

}  // namespace nlvs::daemon
