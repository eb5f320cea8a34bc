#pragma once

#include "compat/net/ip_address.hpp"
#include "forwarding/packet/flow.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace nlvs::forwarding {

/// What kind of packet this is for the pipeline.
enum class PacketKind : std::uint8_t {
    transport,   ///< TCP, UDP, SCTP with complete first header: has a flow; AH and ESP: has the
                 ///< flow of the hosts' key exchange (protocol UDP, not that of the packet)
    icmp_error,  ///< ICMP/ICMPv6 error with an embedded flow of a transport, or a tunnel header
    fragment,    ///< IPv4/IPv6 fragment (first or later) of a transport: goes to reassembly
    other,       ///< for the kernel: ARP, ND, echo, VRRP, other protocols, unknown EtherTypes
    malformed,   ///< lengths contradict each other, or a bad IPv4 header checksum: dropped
};

/// TCP control bits as in byte 13 of the header.
struct TcpFlags {
    static constexpr std::uint8_t fin = 0x01, syn = 0x02, rst = 0x04, psh = 0x08, ack = 0x10;
};

/// A VLAN tag in 16 bits, priority left out. Identifier 0 says "no VLAN" and is no tag.
constexpr std::uint16_t tag_code(std::uint16_t ether_type, std::uint16_t tci) noexcept {
    constexpr std::uint16_t qinq = 0x88A8;
    constexpr std::uint16_t identifier = 0x0FFF;
    constexpr std::uint16_t customer = 0x1000;
    constexpr std::uint16_t service = 0x2000;
    if ((tci & identifier) == 0) return 0;
    const std::uint16_t kind = ether_type == qinq ? service : customer;
    return static_cast<std::uint16_t>(kind | (tci & identifier));
}

/// Result of parsing one frame: offsets into it (checked against its length once, here) and the
/// flow. All offsets are from the first byte of the frame; the frame is contiguous up to and
/// including the first bytes of the L4 header that a rewrite touches (TCP 20, UDP 8, SCTP 16,
/// ICMP error: the embedded ports).
struct Parsed {
    PacketKind kind = PacketKind::other;
    net::Family family = net::Family::inet;
    std::uint8_t protocol = 0;           ///< L4 protocol (after IPv6 extension headers)
    std::uint8_t tcp_flags = 0;          ///< or type of the SCTP chunk that decides
    std::uint8_t ttl = 0;                ///< or hop limit
    bool fragmentation_allowed = false;  ///< IPv4 with DF clear
    bool later_fragment = false;         ///< fragment offset ≠ 0: no L4 header
    bool vlan = false;                       ///< there is a tag, be it one of priority only
    std::array<std::uint16_t, 2> tags{};     ///< tag_code() of each, outermost first, 0: none
    std::uint16_t l3_offset = 0;
    /// A fragment: its payload, which for IPv6 follows the fragment header directly.
    std::uint16_t l4_offset = 0;
    std::uint16_t payload_offset = 0;   ///< first byte after the L4 header
    std::uint16_t l3_length = 0;        ///< IP total length: header and payload, without padding
    std::uint16_t inner_l3_offset = 0;  ///< icmp_error: embedded IP header
    std::uint16_t inner_l4_offset = 0;
    std::uint8_t icmp_type = 0;  ///< icmp_error only
    std::uint8_t icmp_code = 0;
    /// Set by whoever reassembled the packet: IP length of its largest fragment, else 0.
    std::uint16_t largest_fragment = 0;
    /// transport: the packet's flow. icmp_error: the embedded packet's flow as it stands there,
    /// with ports 0 when it is a tunnel (IP-IP, GRE). fragment: without ports.
    FlowKey<V4> flow4;  ///< valid when family is inet
    FlowKey<V6> flow6;  ///< valid when family is inet6

    template <class FamilyTag>
    const FlowKey<FamilyTag>& flow() const noexcept {
        if constexpr (FamilyTag::family == net::Family::inet) {
            return flow4;
        } else {
            return flow6;
        }
    }

    /// Bytes from the L4 header to the end of the IP packet.
    std::size_t l4_length() const noexcept {
        return static_cast<std::size_t>(l3_offset + l3_length - l4_offset);
    }
};

}  // namespace nlvs::forwarding
