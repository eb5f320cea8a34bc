#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/control_plane.hpp"
#include "daemon/text_source.hpp"
#include "daemon/worker_group.hpp"
#include "daemon/worker_mail.hpp"
#include "daemon/worker_rows_text.hpp"

namespace nlvs::daemon {

/// One file of the daemon's file system, without saying how it is mounted.
struct ProcfsFile {
    std::string path;  ///< from the root, which mirrors /proc: "/net/ip_vs"
    std::function<std::unique_ptr<TextSource>()> open;
    /// A positive errno or 0; null for files that cannot be written.
    std::function<int(std::string_view text)> write;
    /// Whether the file is there now; null for always.
    std::function<bool()> exists;
};

/// Everything the kernel's ip_vs shows below /proc. The arguments outlive the files; `workers` is
/// null in a daemon without ports.
std::vector<ProcfsFile> procfs_files(
    ControlPlane& control, WorkerMail& mail, WorkerGroup* workers, WorkerRowsText::Later later
);

}  // namespace nlvs::daemon
