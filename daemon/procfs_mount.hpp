#pragma once

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <memory>
#include <vector>

#include "daemon/procfs_files.hpp"

namespace nlvs::daemon {

/// The files mounted with FUSE. The session's descriptor is one more of the control thread's
/// loop, so contents are made there, without locks, and a read that waits for a worker delays
/// nobody. The control thread must therefore never touch a path below the mount point itself.
///
/// Sizes are 0 and nothing is cached, as on procfs. Everybody may read (mode 0444, 0644).
/// Thread: control.
class ProcfsMount {
public:
    /// Replaces what a killed daemon left mounted there. Throws std::runtime_error where FUSE is
    /// not to be had.
    ProcfsMount(
        boost::asio::io_context& context, std::vector<ProcfsFile> files,
        const std::filesystem::path& directory
    );
    ProcfsMount(const ProcfsMount&) = delete;
    ProcfsMount& operator=(const ProcfsMount&) = delete;
    /// Unmounts at once; who still reads gets an error.
    ~ProcfsMount();

    /// Where others find the root. Programs under `ip netns exec` live in a mount namespace of
    /// their own each; from such a one the path leads through /proc/PID/root.
    const std::filesystem::path& root() const noexcept { return root_; }

private:
    class Session;

    std::filesystem::path root_;
    std::unique_ptr<Session> session_;
};

}  // namespace nlvs::daemon
