#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/data_plane.hpp"
#include "daemon/procfs_files.hpp"
#include "netlink-shim/core/link_counters.hpp"

namespace nlvs::daemon {

/// /proc/net/dev with the NICs' figures in the rows of their shadow interfaces; every other row, and
/// every other column, is as the kernel wrote it. Linux: net/core/net-procfs.c dev_seq_printf_stats.
std::string with_link_counters(
    std::string_view kernel, const std::map<std::string, shim::LinkCounters>& by_name
);

/// What shows the packets of the data path where the kernel would show the shadow interfaces': the
/// file that the interposing library reads for `ip -s link`, and /proc/net/dev. `data_plane` is null in
/// a daemon without ports, or outlives the files.
std::vector<ProcfsFile> link_files(const DataPlane* data_plane);

}  // namespace nlvs::daemon
