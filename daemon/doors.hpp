#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>

#include "daemon/control_plane.hpp"
#include "daemon/log.hpp"
#include "daemon/procfs_mount.hpp"
#include "daemon/worker_mail.hpp"
#include "netlink-shim/endpoint/genl_dispatcher.hpp"
#include "netlink-shim/endpoint/netlink_socket.hpp"
#include "netlink-shim/endpoint/runtime_file.hpp"
#include "netlink-shim/endpoint/sockopt_server.hpp"
#include "netlink-shim/endpoint/survivor.hpp"

namespace nlvs::daemon {

/// Everything through which programs reach the control plane: the netlink family, the old socket
/// options, the files of /proc. From the end of construction on clients find the daemon, until
/// destruction begins.
/// Thread: control.
class Doors {
public:
    /// All arguments outlive the doors; `workers` is null in a daemon without ports.
    Doors(
        boost::asio::io_context& context, const shim::RuntimeDirectory& directory,
        ControlPlane& control, WorkerMail& mail, WorkerGroup* workers, shim::Survivor& survivor,
        const Log& log
    );

private:
    std::optional<ProcfsMount> files_;
    shim::GenlDispatcher family_;
    shim::SockoptServer sockopt_;
    shim::NetlinkSocket socket_;
    std::optional<shim::RuntimeFile> registration_;
};

}  // namespace nlvs::daemon
