#pragma once

#include <array>

#include "compat/ipvs/settings.hpp"
#include "forwarding/identifiers.hpp"

namespace nlvs::forwarding {

/// Everything global that a worker obeys. Published as one node on every change.
/// Thread: immutable.
struct Settings {
    /// Life times per protocol state, ready for the data path.
    struct StateTimeouts {
        std::array<Ticks, 16> tcp{};   ///< by ipvs::TcpState
        std::array<Ticks, 16> sctp{};  ///< by SCTP state
        Ticks udp = 0;
    };

    ipvs::Timeouts timeouts;
    ipvs::Sysctls sysctls;
    StateTimeouts state_timeouts;
    bool secure_tcp = false;  ///< the secure_tcp state tables are in force
    bool ipv4_forwarding = true;  ///< net.ipv4.ip_forward of the namespace
    bool ipv6_forwarding = true;
};

/// Settings with everything that follows from `timeouts` and `sysctls` filled in.
Settings make_settings(const ipvs::Timeouts& timeouts, const ipvs::Sysctls& sysctls) noexcept;

}  // namespace nlvs::forwarding
