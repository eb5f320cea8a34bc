#pragma once

#include <cstdint>

namespace nlvs::procfs {

/// CONFIG_HZ of Debian's kernels. Visible where the kernel prints or bounds jiffies: persistence
/// timeouts in /proc/net/ip_vs, the largest value of a timeout.
inline constexpr std::uint32_t jiffies_per_second = 250;

}  // namespace nlvs::procfs
