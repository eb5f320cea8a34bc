#include "daemon/doors.hpp"

#include <boost/asio/post.hpp>
#include <filesystem>
#include <functional>
#include <utility>

#include "daemon/procfs_files.hpp"
#include "netlink-shim/core/protocol.hpp"
#include "netlink-shim/endpoint/sockopt_dispatcher.hpp"

namespace nlvs::daemon {
namespace {

/// A host without FUSE still gets everything but the files.
std::optional<std::filesystem::path> mount(
    std::optional<ProcfsMount>& files, boost::asio::io_context& context,
    const shim::RuntimeDirectory& directory, ControlPlane& control, WorkerMail& mail,
    WorkerGroup* workers, const Log& log
) {
    try {
        const auto later = [&context](std::function<void()> work) {
            boost::asio::post(context, std::move(work));
        };
        files.emplace(
            context, procfs_files(control, mail, workers, later), directory.path() / "files"
        );
        return files->root();
    } catch (const std::exception& error) {
        log.warning("no /proc/net/ip_vs* and no vs sysctls: {}", error.what());
        return std::nullopt;
    }
}

}  // namespace

Doors::Doors(
    boost::asio::io_context& context, const shim::RuntimeDirectory& directory,
    ControlPlane& control, WorkerMail& mail, WorkerGroup* workers, shim::Survivor& survivor,
    const Log& log
)
    : family_{control, shim::ipvs_family_id},
      sockopt_{shim::SockoptDispatcher{control}},
      socket_{context, family_, sockopt_, survivor.owed()} {
    survivor.entrust(socket_.descriptor());
    const auto root = mount(files_, context, directory, control, mail, workers, log);
    socket_.start();
    registration_.emplace(directory, socket_.port(), root.value_or(std::filesystem::path{}));
}

}  // namespace nlvs::daemon
