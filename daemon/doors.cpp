#include "daemon/doors.hpp"

#include <filesystem>
#include <utility>

#include "netlink-shim/core/protocol.hpp"
#include "netlink-shim/endpoint/sockopt_dispatcher.hpp"

namespace nlvs::daemon {
namespace {

/// A host without FUSE still gets everything but the files.
std::optional<std::filesystem::path> mount(
    std::optional<ProcfsMount>& mounted, boost::asio::io_context& context,
    const shim::RuntimeDirectory& directory, std::vector<ProcfsFile> files, const Log& log
) {
    try {
        mounted.emplace(context, std::move(files), directory.path() / "files");
        return mounted->root();
    } catch (const std::exception& error) {
        log.warning("no /proc/net/ip_vs* and no vs sysctls: {}", error.what());
        return std::nullopt;
    }
}

}  // namespace

Doors::Doors(
    boost::asio::io_context& context, const shim::RuntimeDirectory& directory,
    ControlPlane& control, std::vector<ProcfsFile> files, shim::Survivor& survivor, const Log& log
)
    : family_{control, shim::ipvs_family_id},
      sockopt_{shim::SockoptDispatcher{control}},
      socket_{context, family_, sockopt_, survivor.owed()} {
    survivor.entrust(socket_.descriptor());
    const auto root = mount(files_, context, directory, std::move(files), log);
    socket_.start();
    registration_.emplace(directory, socket_.port(), root.value_or(std::filesystem::path{}));
}

}  // namespace nlvs::daemon
