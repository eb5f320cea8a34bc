#pragma once

#include "compat/ipvs/settings.hpp"
#include "compat/net/ip_address.hpp"
#include "compat/net/ip_protocol.hpp"
#include "compat/net/port.hpp"
#include "forwarding/identifiers.hpp"
#include "forwarding/schedulers/random_source.hpp"

#include <cstdint>

namespace nlvs::forwarding {

/// What a scheduler may know of the packet that opens a connection. For a packet embedded in an
/// ICMP error `source` is the client, whichever field it stood in.
struct ScheduleInput {
    net::IpAddress source;
    net::IpAddress destination;
    net::Port source_port;
    std::uint8_t protocol = 0;
    RandomSource& random;
    const ipvs::Sysctls& sysctls;  ///< lblc_expiration, lblcr_expiration
    Time now;
};

/// The port that sh-port and mh-port mix in; 0 for protocols without ports.
/// Linux: ip_vs_sh.c ip_vs_sh_get_port.
inline std::uint16_t hashed_port(const ScheduleInput& input) noexcept {
    switch (static_cast<net::IpProtocol>(input.protocol)) {
        case net::IpProtocol::tcp:
        case net::IpProtocol::udp:
        case net::IpProtocol::sctp:
            return input.source_port.host();
        default:
            return 0;
    }
}

}  // namespace nlvs::forwarding
