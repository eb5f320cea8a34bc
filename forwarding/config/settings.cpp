#include "forwarding/config/settings.hpp"

#include "forwarding/connections/sctp_state.hpp"
#include "forwarding/connections/tcp_state.hpp"
#include "forwarding/connections/udp_state.hpp"

namespace nlvs::forwarding {

Settings make_settings(const ipvs::Timeouts& timeouts, const ipvs::Sysctls& sysctls) noexcept {
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
    // Mode 3 is always on; 1 and 2 depend on memory pressure, which control decides.
    settings.secure_tcp = sysctls.secure_tcp == 3;
    return settings;
}

}  // namespace nlvs::forwarding
