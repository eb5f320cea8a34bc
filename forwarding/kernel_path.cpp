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

PuntClass classify_ports(std::uint8_t protocol, std::uint16_t source, std::uint16_t destination) noexcept {
    if (protocol == static_cast<std::uint8_t>(net::IpProtocol::tcp)) {
        return source == bgp || destination == bgp ? PuntClass::routing : PuntClass::health;
    }
    const bool bfd = destination == bfd_single_hop || destination == bfd_multi_hop;
    return bfd ? PuntClass::control : PuntClass::health;
}

/// RFC 4861: router solicitation 133 to redirect 137.
bool is_neighbour_discovery(const std::byte* frame, std::size_t length, const Parsed& parsed) noexcept {
    if (parsed.l4_offset == 0 || parsed.l4_offset >= length) return false;
    const auto type = std::to_integer<std::uint8_t>(frame[parsed.l4_offset]);
    return type >= 130 && type <= 137;
}

}  // namespace

PuntClass classify_punt(const std::byte* frame, std::size_t length, const Parsed& parsed) noexcept {
    constexpr std::size_t ethernet_header = 14;
    if (parsed.kind == PacketKind::transport) {
        return parsed.family == net::Family::inet
                   ? classify_ports(parsed.protocol, parsed.flow4.source_port.host(), parsed.flow4.destination_port.host())
                   : classify_ports(parsed.protocol, parsed.flow6.source_port.host(), parsed.flow6.destination_port.host());
    }
    if (parsed.l3_offset < ethernet_header || length < parsed.l3_offset) return PuntClass::rest;
    if (parsed.l3_length == 0) {
        // Not IP: ARP, LACP (slow protocols) and the like, in a VLAN or not.
        const auto type = net::load<net::Be16>(frame + parsed.l3_offset - 2).host();
        return type == 0x0806 || type == 0x8809 ? PuntClass::control : PuntClass::rest;
    }
    if (parsed.protocol == static_cast<std::uint8_t>(net::IpProtocol::vrrp) || parsed.protocol == igmp) {
        return PuntClass::control;
    }
    if (parsed.protocol == ospf) return PuntClass::routing;
    if (parsed.protocol == static_cast<std::uint8_t>(net::IpProtocol::icmpv6) &&
        is_neighbour_discovery(frame, length, parsed)) {
        return PuntClass::control;
    }
    return PuntClass::rest;
}

}  // namespace nlvs::forwarding
