#include "compat/procfs/sysctl.hpp"

#include "compat/procfs/kernel_clock.hpp"
#include "compat/procfs/text.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <charconv>
#include <limits>
#include <optional>

namespace nlvs::procfs {

namespace {

using ipvs::Error;
using ipvs::Result;
using ipvs::Sysctls;

constexpr std::array table{
    Sysctl{"amemthresh", &Sysctls::amemthresh},
    Sysctl{"am_droprate", &Sysctls::am_droprate},
    Sysctl{"drop_entry", &Sysctls::drop_entry, Range::defense_mode},
    Sysctl{"drop_packet", &Sysctls::drop_packet, Range::defense_mode},
    Sysctl{"conntrack", &Sysctls::conntrack},
    Sysctl{"secure_tcp", &Sysctls::secure_tcp, Range::defense_mode},
    Sysctl{"snat_reroute", &Sysctls::snat_reroute},
    Sysctl{"sync_version", &Sysctls::sync_version, Range::zero_to_one},
    Sysctl{"sync_ports", &Sysctls::sync_ports, Range::power_of_two},
    Sysctl{"sync_persist_mode", &Sysctls::sync_persist_mode},
    Sysctl{"sync_qlen_max", &Sysctls::sync_qlen_max},
    Sysctl{"sync_sock_size", &Sysctls::sync_sock_size},
    Sysctl{"cache_bypass", &Sysctls::cache_bypass},
    Sysctl{"expire_nodest_conn", &Sysctls::expire_nodest_conn},
    Sysctl{"sloppy_tcp", &Sysctls::sloppy_tcp},
    Sysctl{"sloppy_sctp", &Sysctls::sloppy_sctp},
    Sysctl{"expire_quiescent_template", &Sysctls::expire_quiescent_template},
    Sysctl{"sync_threshold", Sysctl::Threshold{}},
    Sysctl{"sync_refresh_period", &Sysctls::sync_refresh_period, Range::seconds},
    Sysctl{"sync_retries", &Sysctls::sync_retries, Range::zero_to_three},
    Sysctl{"nat_icmp_send", &Sysctls::nat_icmp_send},
    Sysctl{"pmtu_disc", &Sysctls::pmtu_disc},
    Sysctl{"backup_only", &Sysctls::backup_only},
    Sysctl{"conn_reuse_mode", &Sysctls::conn_reuse_mode},
    Sysctl{"schedule_icmp", &Sysctls::schedule_icmp},
    Sysctl{"ignore_tunneled", &Sysctls::ignore_tunneled},
    Sysctl{"run_estimation", &Sysctls::run_estimation},
    Sysctl{"lblc_expiration", &Sysctls::lblc_expiration, Range::seconds},
    Sysctl{"lblcr_expiration", &Sysctls::lblcr_expiration, Range::seconds},
};

std::unexpected<Error> invalid() {
    return std::unexpected{Error::invalid_argument};
}

/// Linux: kernel/sysctl.c proc_wspace_sep — what may follow a number.
bool is_separator(char c) {
    return c == ' ' || c == '\t' || c == '\n';
}

/// Linux: include/linux/ctype.h isspace — what is skipped before one.
bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

void skip_spaces(std::string_view& text) {
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
}

struct Number {
    std::uint64_t magnitude = 0;
    bool negative = false;
};

/// Linux: kernel/sysctl.c proc_get_long — at most 20 characters, sign and prefix included.
std::optional<Number> take_number(std::string_view& text) {
    constexpr std::size_t longest = 20;
    Number number;
    std::string_view rest = text;
    if (rest.size() > 1 && rest.front() == '-') {
        number.negative = true;
        rest.remove_prefix(1);
    }
    if (rest.empty() || rest.front() < '0' || rest.front() > '9') return std::nullopt;
    int base = 10;
    const bool hex = rest.size() > 2 && rest[0] == '0' && (rest[1] == 'x' || rest[1] == 'X');
    if (hex && std::isxdigit(static_cast<unsigned char>(rest[2])) != 0) {
        base = 16;
        rest.remove_prefix(2);
    } else if (rest.front() == '0') {
        base = 8;
    }
    const char* const end = rest.data() + rest.size();
    const auto [stop, error] = std::from_chars(rest.data(), end, number.magnitude, base);
    if (error != std::errc{}) return std::nullopt;
    if (static_cast<std::size_t>(stop - text.data()) > longest) return std::nullopt;
    if (stop != end && !is_separator(*stop)) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    return number;
}

/// Linux: kernel/sysctl.c do_proc_dointvec_conv, do_proc_dointvec_jiffies_conv.
std::optional<std::int32_t> to_integer(const Number& number, Range range) {
    constexpr auto largest = std::uint64_t{std::numeric_limits<std::int32_t>::max()};
    if (range == Range::seconds) {
        if (number.magnitude > largest / jiffies_per_second) return std::nullopt;
    } else if (number.magnitude > largest + (number.negative ? 1 : 0)) {
        return std::nullopt;
    }
    const auto value = static_cast<std::int64_t>(number.magnitude);
    return static_cast<std::int32_t>(number.negative ? -value : value);
}

bool accepts(Range range, std::int32_t value) {
    switch (range) {
        case Range::any:
        case Range::seconds:
            return true;
        case Range::zero_to_one:
            return value == 0 || value == 1;
        case Range::zero_to_three:
        case Range::defense_mode:
            return value >= 0 && value <= 3;
        case Range::power_of_two:
            return value > 0 && std::has_single_bit(static_cast<std::uint32_t>(value));
    }
    return false;
}

Result<void> write_integer(
    Sysctl::Integer member, Range range, std::string_view text, Sysctls& values
) {
    const auto number = take_number(text);
    if (!number) return invalid();
    const auto value = to_integer(*number, range);
    if (!value || !accepts(range, *value)) return invalid();
    values.*member = range == Range::defense_mode && *value == 2 ? 1 : *value;
    return {};
}

/// One value alone leaves the period as it is. A bad second value is an error, yet the first one
/// is kept. Linux: ip_vs_ctl.c proc_do_sync_threshold.
Result<void> write_threshold(std::string_view text, Sysctls& values) {
    std::array<std::int32_t, 2> pair{values.sync_threshold, values.sync_period};
    Result<void> result;
    for (std::size_t i = 0; i < pair.size(); ++i) {
        skip_spaces(text);
        if (text.empty()) break;
        const auto number = take_number(text);
        const auto value = number ? to_integer(*number, Range::any) : std::nullopt;
        if (!value) {
            result = invalid();
            break;
        }
        pair[i] = *value;
    }
    const auto [threshold, period] = pair;
    if (threshold < 0 || period < 0 || (threshold >= period && period != 0)) return invalid();
    values.sync_threshold = threshold;
    values.sync_period = period;
    return result;
}

}  // namespace

std::span<const Sysctl> sysctls() noexcept {
    return table;
}

const Sysctl* find_sysctl(std::string_view name) noexcept {
    const auto found = std::ranges::find(table, name, &Sysctl::name);
    return found == table.end() ? nullptr : &*found;
}

std::string read(const Sysctl& sysctl, const Sysctls& values) {
    std::string out;
    if (const auto* integer = std::get_if<Sysctl::Integer>(&sysctl.value)) {
        append_decimal(out, values.**integer);
    } else if (const auto* number = std::get_if<Sysctl::Long>(&sysctl.value)) {
        append_decimal(out, values.**number);
    } else {
        append_decimal(out, values.sync_threshold);
        out += '\t';
        append_decimal(out, values.sync_period);
    }
    out += '\n';
    return out;
}

Result<void> write(const Sysctl& sysctl, std::string_view text, Sysctls& values) {
    skip_spaces(text);
    if (text.empty()) return invalid();
    if (const auto* integer = std::get_if<Sysctl::Integer>(&sysctl.value)) {
        return write_integer(*integer, sysctl.range, text, values);
    }
    if (const auto* member = std::get_if<Sysctl::Long>(&sysctl.value)) {
        const auto number = take_number(text);
        if (!number || number->negative) return invalid();
        values.** member = number->magnitude;
        return {};
    }
    return write_threshold(text, values);
}

}  // namespace nlvs::procfs
