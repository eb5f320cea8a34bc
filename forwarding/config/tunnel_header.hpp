#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "compat/ipvs/destination.hpp"
#include "compat/net/ip_address.hpp"

namespace nlvs::forwarding {

/// Outer header of a tunnel, built by control: IPv4/IPv6 [+ UDP + GUE | + GRE], with zero length,
/// id and checksum fields that transmit/tunnel.hpp fills in.
struct TunnelHeader {
    static constexpr std::size_t max_length = 56;

    ipvs::Tunnel tunnel;
    net::Family outer = net::Family::inet;
    std::uint8_t length = 0;        ///< bytes of `bytes` to prepend
    std::uint8_t time_to_live = 0;  ///< 0: that of the packet inside
    /// The outer DSCP; the bits of congestion notification always come from inside.
    std::uint8_t type_of_service = 0;
    bool inherits_service = true;  ///< DSCP from inside
    bool dont_fragment = false;    ///< whatever the packet inside says
    std::array<std::byte, max_length> bytes{};

    friend bool operator==(const TunnelHeader&, const TunnelHeader&) = default;
};

}  // namespace nlvs::forwarding
