#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "compat/net/ip_protocol.hpp"
#include "forwarding/packet/flow.hpp"

namespace nlvs::forwarding {

/// What kind of packet this is for the pipeline.
enum class PacketKind : std::uint8_t {
    transport,   ///< TCP, UDP, SCTP with complete first header: has a flow
    icmp_error,  ///< ICMP/ICMPv6 error with an embedded flow of a transport
    fragment,    ///< IPv4/IPv6 fragment (first or later): goes to reassembly
    other,       ///< for the kernel: ARP, ND, echo, VRRP, other protocols, unknown EtherTypes
    malformed,   ///< lengths contradict each other: dropped
};

/// TCP control bits as in byte 13 of the header.
struct TcpFlags {
    static constexpr std::uint8_t fin = 0x01, syn = 0x02, rst = 0x04, psh = 0x08, ack = 0x10;
};

/// Result of parsing one frame: offsets into it (checked against its length once, here) and the
/// flow. All offsets are from the first byte of the frame; the frame is contiguous up to and
/// including the L4 header (parse linearises nothing: the caller gives the first segment).
struct Parsed {
    PacketKind kind = PacketKind::other;
    net::Family family = net::Family::inet;
    std::uint8_t protocol = 0;      ///< L4 protocol (after IPv6 extension headers)
    std::uint8_t tcp_flags = 0;     ///< or first SCTP chunk type
    std::uint8_t ttl = 0;           ///< or hop limit
    bool fragmentation_allowed = false;  ///< IPv4 with DF clear
    bool later_fragment = false;    ///< fragment offset ≠ 0: no L4 header
    bool vlan = false;
    std::uint16_t vlan_tci = 0;
    std::uint16_t l3_offset = 0;
    std::uint16_t l4_offset = 0;
    std::uint16_t payload_offset = 0;   ///< first byte after the L4 header
    std::uint16_t l3_length = 0;        ///< IP total length: header and payload, without padding
    std::uint16_t inner_l3_offset = 0;  ///< icmp_error: embedded IP header
    std::uint16_t inner_l4_offset = 0;
    /// transport: the packet's flow. icmp_error: the embedded packet's flow as it stands there.
    FlowKey<V4> flow4;  ///< valid when family is inet
    FlowKey<V6> flow6;  ///< valid when family is inet6
};

/// Parses an Ethernet frame. Total: any bytes give a result; never reads beyond `frame`.
/// `frame_length` is the whole frame's length (≥ frame.size() for a segmented mbuf).
Parsed parse(std::span<const std::byte> frame, std::size_t frame_length) noexcept;

}  // namespace nlvs::forwarding
