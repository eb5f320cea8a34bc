#pragma once

#include "compat/ipvs/error.hpp"
#include "compat/ipvs/settings.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace nlvs::procfs {

/// Which values a file of /proc/sys/net/ipv4/vs accepts, by the kernel's handler.
enum class Range : std::uint8_t {
    any,            ///< proc_dointvec
    zero_to_one,    ///< proc_dointvec_minmax
    zero_to_three,  ///< proc_dointvec_minmax of sync_retries
    /// proc_do_defense_mode: 0 to 3, and "automatic, active" (2) becomes "automatic" (1) at once,
    /// as in a kernel that is not short of memory. Linux: ip_vs_ctl.c update_defense_level.
    defense_mode,
    power_of_two,   ///< proc_do_sync_ports
    seconds,        ///< proc_dointvec_jiffies: must fit an int once multiplied by HZ
};

/// One file. Most hold an int; sync_qlen_max an unsigned long; sync_threshold two ints.
struct Sysctl {
    using Integer = std::int32_t ipvs::Sysctls::*;
    using Long = std::uint64_t ipvs::Sysctls::*;

    struct Threshold {};

    std::string_view name;
    std::variant<Integer, Long, Threshold> value;
    Range range = Range::any;
};

/// Every file, in the order of Linux ip_vs_ctl.c vs_vars; lblc_expiration and lblcr_expiration,
/// which the kernel shows only with those schedulers, last.
std::span<const Sysctl> sysctls() noexcept;

const Sysctl* find_sysctl(std::string_view name) noexcept;

/// What reading the file yields, newline included.
std::string read(const Sysctl& sysctl, const ipvs::Sysctls& values);

/// What writing `text` to the file does: decimal, 0x and 0 prefixes, blanks around; whatever
/// follows the expected number of values is dropped. Nothing to parse is invalid_argument.
/// Linux: kernel/sysctl.c do_proc_dointvec, proc_get_long.
ipvs::Result<void> write(const Sysctl& sysctl, std::string_view text, ipvs::Sysctls& values);

}  // namespace nlvs::procfs
