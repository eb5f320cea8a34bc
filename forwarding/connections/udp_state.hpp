#pragma once

#include "compat/ipvs/settings.hpp"
#include "forwarding/identifiers.hpp"

#include <cstdint>

namespace nlvs::forwarding {

/// UDP has one state and is never active. Linux: ip_vs_proto_udp.c udp_state_transition.
inline constexpr std::uint8_t udp_state_normal = 0;

constexpr Ticks udp_timeout(const ipvs::Timeouts& timeouts) noexcept {
    return timeouts.udp * ticks_per_second;
}

}  // namespace nlvs::forwarding
