#pragma once

#include "compat/ipvs/statistics.hpp"

#include <span>
#include <string>

namespace nlvs::procfs {

/// /proc/net/ip_vs_stats. Linux: ip_vs_ctl.c ip_vs_stats_show.
std::string statistics_text(const ipvs::Statistics& statistics);

/// /proc/net/ip_vs_stats_percpu: one line per entry of `processors`, which count since the start
/// and are never zeroed, then the totals and rates as in the other file.
/// Linux: ip_vs_ctl.c ip_vs_stats_percpu_show.
std::string statistics_per_cpu_text(
    std::span<const ipvs::Totals> processors, const ipvs::Statistics& statistics
);

}  // namespace nlvs::procfs
