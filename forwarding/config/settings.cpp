#include "forwarding/config/settings.hpp"

#include "forwarding/connections/sctp_state.hpp"
#include "forwarding/connections/tcp_state.hpp"
#include "forwarding/connections/udp_state.hpp"

namespace nlvs::forwarding {
namespace {

enum DefenceMode : std::int32_t { off, automatic, automatic_on, always };

bool is_short(const ipvs::Sysctls& sysctls, std::int64_t available_pages) noexcept {
    return available_pages < sysctls.amemthresh;
}

bool is_on(std::int32_t mode) noexcept { return mode >= automatic_on; }

/// Linux: update_defense_level — am_droprate in mode 3, otherwise the less memory the more.
std::int32_t drop_rate(const ipvs::Sysctls& sysctls, std::int64_t available_pages) noexcept {
    if (sysctls.drop_packet == always) return sysctls.am_droprate;
    if (!is_on(sysctls.drop_packet) || !is_short(sysctls, available_pages)) return 0;
    return static_cast<std::int32_t>(
        sysctls.amemthresh / (std::int64_t{sysctls.amemthresh} - available_pages)
    );
}

}  // namespace

void follow_memory(ipvs::Sysctls& sysctls, std::int64_t available_pages) noexcept {
    const std::int32_t now = is_short(sysctls, available_pages) ? automatic_on : automatic;
    for (std::int32_t* mode : {&sysctls.drop_entry, &sysctls.drop_packet, &sysctls.secure_tcp}) {
        if (*mode == automatic || *mode == automatic_on) *mode = now;
    }
}

Settings make_settings(
    const ipvs::Timeouts& timeouts, const ipvs::Sysctls& sysctls, std::int64_t available_pages
) noexcept {
    Settings settings;
    settings.timeouts = timeouts;
    settings.sysctls = sysctls;
    for (std::size_t i = 0; i < tcp_state_count; ++i) {
        settings.state_timeouts.tcp[i] = tcp_timeout(static_cast<ipvs::TcpState>(i), timeouts);
    }
    for (std::size_t i = 0; i < sctp_state_count; ++i) {
        settings.state_timeouts.sctp[i] = sctp_timeout(static_cast<SctpState>(i));
    }
    settings.state_timeouts.udp = udp_timeout(timeouts);
    settings.secure_tcp = is_on(sysctls.secure_tcp);
    settings.drop_entry = is_on(sysctls.drop_entry);
    settings.drop_rate = drop_rate(sysctls, available_pages);
    return settings;
}

}  // namespace nlvs::forwarding
