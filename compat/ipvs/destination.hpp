#pragma once

#include <compare>
#include <cstdint>

#include "compat/ipvs/service.hpp"
#include "compat/ipvs/statistics.hpp"
#include "compat/net/ip_address.hpp"
#include "compat/net/port.hpp"

namespace nlvs::ipvs {

/// Linux: IP_VS_CONN_F_FWD_MASK. 5-7 are stored and echoed; they have no transmitter.
enum class ForwardingMethod : std::uint8_t {
    masquerade = 0,
    local = 1,
    tunnel = 2,
    direct_route = 3,
    bypass = 4,
};

/// Linux: IP_VS_CONN_F_DEST_MASK beyond the method: flags that a destination gives its connections.
struct DestinationFlags {
    static constexpr std::uint32_t one_packet = 0x2000;  ///< those of UDP are not remembered
    static constexpr std::uint32_t conntrack = 0x10000;  ///< netfilter knows them
    static constexpr std::uint32_t all = one_packet | conntrack;
};

/// Linux: IP_VS_CONN_F_TUNNEL_TYPE_*. Larger numbers are stored and echoed.
enum class TunnelType : std::uint8_t { ipip = 0, gue = 1, gre = 2 };

struct Tunnel {
    TunnelType type = TunnelType::ipip;
    Port port;
    std::uint16_t flags = 0;  ///< bit 0 checksum, bit 1 remote checksum

    friend constexpr bool operator==(const Tunnel&, const Tunnel&) = default;
};

struct DestinationKey {
    IpAddress address;
    Port port;

    friend auto operator<=>(const DestinationKey&, const DestinationKey&) = default;
};

/// What NEW_DEST and SET_DEST say. Unvalidated: the registry applies the checks in the kernel's
/// order (spec 1.8 steps 4-14).
struct DestinationSpec {
    DestinationKey key;
    std::uint32_t forwarding = 3;  ///< raw method, already masked with 7
    std::int32_t weight = 0;
    std::uint32_t upper_threshold = 0;
    std::uint32_t lower_threshold = 0;
    Tunnel tunnel;
    std::uint32_t flags = 0;  ///< DestinationFlags; only the socket options give them

    friend bool operator==(const DestinationSpec&, const DestinationSpec&) = default;
};

struct DestinationView {
    DestinationSpec spec;
    std::uint32_t active_connections = 0;
    std::uint32_t inactive_connections = 0;
    std::uint32_t persistent_connections = 0;
    Statistics statistics;

    friend bool operator==(const DestinationView&, const DestinationView&) = default;
};

}  // namespace nlvs::ipvs
