#pragma once

#include <cstdint>

namespace nlvs::procfs {

/// CONFIG_HZ of Debian's kernels. Visible where the kernel prints or bounds jiffies: persistence
/// timeouts in /proc/net/ip_vs, the largest value of a timeout.
inline constexpr std::uint32_t jiffies_per_second = 250;

/// A service's timeout as the kernel keeps it, and the seconds that it then counts and lists: large
/// values wrap around. Linux: ip_vs_ctl.c ip_vs_add_service.
constexpr std::uint32_t kept_jiffies(std::uint32_t seconds) noexcept {
    return seconds * jiffies_per_second;
}

constexpr std::uint32_t kept_seconds(std::uint32_t seconds) noexcept {
    return kept_jiffies(seconds) / jiffies_per_second;
}

}  // namespace nlvs::procfs
