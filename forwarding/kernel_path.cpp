#include "forwarding/kernel_path.hpp"

#include "compat/net/bytes.hpp"
#include "compat/net/ip_protocol.hpp"

namespace nlvs::forwarding {
namespace {

constexpr std::uint16_t bgp = 179;
constexpr std::uint16_t bfd_single_hop = 3784;
constexpr std::uint16_t bfd_multi_hop = 4784;
constexpr std::uint8_t ospf = 89;
constexpr std::uint8_t igmp = 2;

constexpr std::uint8_t from_this_link = 255;

std::uint8_t hop_limit(const std::byte* frame, const Parsed& parsed) noexcept {
    const std::size_t at = parsed.family == net::Family::inet ? 8 : 7;
    return std::to_integer<std::uint8_t>(frame[parsed.l3_offset + at]);
}

/// `expected()`: whether the host has sent something in this flow. BFD's two directions are no flow:
/// both ends send to the same port.
template <class Flow, class Expected>
PuntClass classify_flow(const Parsed& parsed, const Flow& flow, std::uint8_t hops, Expected expected) noexcept {
    const std::uint16_t destination = flow.destination_port.host();
    if (parsed.protocol == static_cast<std::uint8_t>(net::IpProtocol::tcp)) {
        if (!expected()) return PuntClass::unsolicited;
        return flow.source_port.host() == bgp || destination == bgp ? PuntClass::routing
                                                                    : PuntClass::health;
    }
    if (destination == bfd_single_hop && hops == from_this_link) return PuntClass::control;
    if (destination == bfd_multi_hop) return PuntClass::routing;
    return is_multicast(flow.destination) || expected() ? PuntClass::health : PuntClass::unsolicited;
}

/// RFC 4861: router solicitation 133 to redirect 137. RFC 2710, RFC 3810: MLD, 130 to 132 and 143.
bool is_neighbour_message(const std::byte* frame, std::size_t length, const Parsed& parsed) noexcept {
    if (parsed.l4_offset == 0 || parsed.l4_offset >= length) return false;
    const auto type = std::to_integer<std::uint8_t>(frame[parsed.l4_offset]);
    const std::uint8_t hops = hop_limit(frame, parsed);
    if (type >= 133 && type <= 137) return hops == from_this_link;
    return ((type >= 130 && type <= 132) || type == 143) && hops == 1;
}

}  // namespace

PuntClass classify_punt(
    const std::byte* frame,
    std::size_t length,
    const Parsed& parsed,
    const HostFlows& flows,
    Ticks now
) noexcept {
    constexpr std::size_t ethernet_header = 14;
    if (parsed.kind == PacketKind::transport) {
        const std::uint8_t hops = hop_limit(frame, parsed);
        const auto expected = [&] { return flows.expects(parsed, now); };
        const auto classify = [&](const auto& flow) {
            return classify_flow(parsed, flow, hops, expected);
        };
        return parsed.family == net::Family::inet ? classify(parsed.flow4) : classify(parsed.flow6);
    }
    if (parsed.l3_offset < ethernet_header || length < parsed.l3_offset) return PuntClass::rest;
    if (parsed.l3_length == 0) {
        // Not IP: ARP, LACP (slow protocols) and the like, in a VLAN or not.
        const auto type = net::load<net::Be16>(frame + parsed.l3_offset - 2).host();
        if (type == 0x8809) return PuntClass::control;
        return type == 0x0806 ? PuntClass::neighbours : PuntClass::rest;
    }
    if (parsed.protocol == static_cast<std::uint8_t>(net::IpProtocol::vrrp)) {
        return hop_limit(frame, parsed) == from_this_link ? PuntClass::control : PuntClass::rest;
    }
    if (parsed.protocol == igmp) return PuntClass::neighbours;
    if (parsed.protocol == ospf) return PuntClass::routing;
    if (parsed.protocol == static_cast<std::uint8_t>(net::IpProtocol::icmpv6)) {
        return is_neighbour_message(frame, length, parsed) ? PuntClass::neighbours
                                                           : PuntClass::icmp;
    }
    return parsed.protocol == static_cast<std::uint8_t>(net::IpProtocol::icmp) ? PuntClass::icmp
                                                                               : PuntClass::rest;
}

}  // namespace nlvs::forwarding
