#pragma once

#include <chrono>
#include <string>

#include "daemon/connection_sync.hpp"
#include "daemon/control_plane.hpp"
#include "daemon/data_plane.hpp"
#include "daemon/kernel_follower.hpp"
#include "daemon/status_server.hpp"
#include "daemon/worker_mail.hpp"

namespace nlvs::daemon {

/// Where the reports take their figures from; everything outlives the server.
struct StatusSources {
    const ControlPlane& control;
    WorkerMail& mail;
    const ConnectionSync& sync;
    DataPlane* data_plane = nullptr;  ///< null: no ports
    const KernelFollower* kernel = nullptr;  ///< null: no ports
    std::string version;
    std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();
};

/// Gives the server the reports "status", "workers", "ports", "mirror", "drops", "sync" and "marks".
void add_reports(StatusServer& server, const StatusSources& sources);

}  // namespace nlvs::daemon
