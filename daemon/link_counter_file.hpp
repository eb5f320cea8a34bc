#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>

#include "daemon/data_plane.hpp"

namespace nlvs::daemon {

/// What the NICs have counted, for `ip -s link` under the interposing library
/// (netlink-shim/core/link_counters.hpp): a file that is written anew twice a second, so that nobody
/// who looks at interfaces waits for the daemon.
/// Thread: control.
class LinkCounterFile {
public:
    /// Throws std::system_error if there can be no such file. `data_plane` outlives this.
    LinkCounterFile(
        boost::asio::io_context& context, const std::filesystem::path& directory,
        const DataPlane& data_plane
    );
    LinkCounterFile(const LinkCounterFile&) = delete;
    LinkCounterFile& operator=(const LinkCounterFile&) = delete;
    ~LinkCounterFile();

private:
    void write();

    const DataPlane& data_plane_;
    std::filesystem::path path_;
    int file_;
    boost::asio::steady_timer timer_;
};

}  // namespace nlvs::daemon
