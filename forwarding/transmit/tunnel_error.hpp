#pragma once

#include "compat/ipvs/destination.hpp"
#include "forwarding/packet/flow.hpp"
#include "forwarding/packet/parsed.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace nlvs::forwarding {

/// The request that an ICMP error about a tunnel packet is really about.
struct Tunnelled {
    ipvs::TunnelType type = ipvs::TunnelType::ipip;
    net::Ipv4Address server;       ///< where the tunnel packet went
    FlowKey<V4> flow;              ///< of the request inside
    std::uint16_t l3_offset = 0;   ///< of the request, in the frame
    std::uint16_t l3_length = 0;   ///< what is there of the request
    bool dont_fragment = false;    ///< its sender discovers the path MTU
};

/// Looks into the packet that an ICMPv4 error (Parsed::kind) embeds: IPv4 in IPv4, in GUE over
/// UDP, or in GRE. None when it holds nothing of the kind, or no ports.
/// Linux: ip_vs_core.c ip_vs_in_icmp, ip_vs_udp_decap, ip_vs_gre_decap.
std::optional<Tunnelled> find_tunnelled(
    std::span<const std::byte> frame, const Parsed& parsed
) noexcept;

}  // namespace nlvs::forwarding
