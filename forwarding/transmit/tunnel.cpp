#include "forwarding/transmit/tunnel.hpp"

#include "compat/net/bytes.hpp"
#include "compat/net/ip_protocol.hpp"
#include "forwarding/packet/checksum.hpp"
#include "forwarding/packet/headers/ethernet.hpp"
#include "forwarding/packet/headers/gre.hpp"
#include "forwarding/packet/headers/gue.hpp"
#include "forwarding/packet/headers/ipv4.hpp"
#include "forwarding/packet/headers/ipv6.hpp"
#include "forwarding/packet/headers/udp.hpp"
#include "forwarding/packet/packet.hpp"
#include "forwarding/packet/transport_checksum.hpp"

namespace nlvs::forwarding {
namespace {

using ipvs::TunnelType;

constexpr std::uint8_t number(net::IpProtocol protocol) noexcept {
    return static_cast<std::uint8_t>(protocol);
}

/// What encapsulation reads of the inner header.
struct InnerHeader {
    std::uint8_t type_of_service;
    std::uint8_t time_to_live;
    bool dont_fragment;
};

template <class Inner>
InnerHeader inner_header(const std::byte* l3) noexcept {
    if constexpr (Inner::family == net::Family::inet) {
        const auto& header = *net::header_at<Ipv4Header>(l3);
        return {header.type_of_service, header.time_to_live, !header.may_be_fragmented()};
    } else {
        const auto& header = *net::header_at<Ipv6Header>(l3);
        return {header.traffic_class(), header.hop_limit, false};
    }
}

/// RFC 6040, with "congestion experienced" not copied outwards.
/// Linux: include/net/inet_ecn.h INET_ECN_encapsulate.
constexpr std::uint8_t outer_type_of_service(std::uint8_t inner) noexcept {
    constexpr std::uint8_t ecn_mask = 3;
    constexpr std::uint8_t congestion_experienced = 3;
    constexpr std::uint8_t ect_0 = 2;
    if ((inner & ecn_mask) != congestion_experienced) return inner;
    return static_cast<std::uint8_t>((inner & ~ecn_mask) | ect_0);
}

/// Linux: net.ipv4.ip_local_port_range default; udp_flow_src_port.
net::Port source_port(std::uint64_t flow_hash) noexcept {
    constexpr std::uint32_t first = 32768;
    constexpr std::uint32_t last = 60999;
    const std::uint64_t scaled = (flow_hash >> 32) * (last - first + 1);
    return net::Port{static_cast<std::uint16_t>(first + (scaled >> 32))};
}

/// Linux: ip_tunnel.c ip_tunnel_xmit, ip_tunnel_ecn_encap.
std::uint8_t outer_service(const TunnelHeader& header, const InnerHeader& inner) noexcept {
    constexpr std::uint8_t ecn_mask = 3;
    const std::uint8_t from_inside = outer_type_of_service(inner.type_of_service);
    if (header.inherits_service) [[likely]] return from_inside;
    return static_cast<std::uint8_t>((header.type_of_service & ~ecn_mask) | (from_inside & ecn_mask));
}

std::uint8_t outer_time_to_live(const TunnelHeader& header, const InnerHeader& inner) noexcept {
    return header.time_to_live != 0 ? header.time_to_live : inner.time_to_live;
}

/// Of the outer header: the tunnel's own, or that of the inner family's.
template <class Inner>
constexpr std::uint8_t protocol_of(std::uint8_t of_tunnel) noexcept {
    if (of_tunnel != 0) return of_tunnel;
    return number(Inner::family == net::Family::inet ? net::IpProtocol::ipip : net::IpProtocol::ipv6);
}

/// Completes a copy of `prepared`. The checksum is summed up from that and from what is added, not
/// from the packet: reading back what was just written in other pieces stalls the processor.
template <class Inner>
void fill_ipv4(
    Ipv4Header& outer, const Ipv4Header& prepared, const TunnelHeader& header,
    const InnerHeader& inner, std::size_t length, const Encapsulation& how
) noexcept {
    const bool dont_fragment =
        header.dont_fragment || (inner.dont_fragment && how.path_mtu_discovery);
    const std::uint8_t type_of_service = outer_service(header, inner);
    const std::uint8_t time_to_live = outer_time_to_live(header, inner);
    const std::uint8_t protocol = protocol_of<Inner>(prepared.protocol);
    const net::Be16 total_length{static_cast<std::uint16_t>(length)};
    const net::Be16 identification{dont_fragment ? std::uint16_t{0} : ++how.identification};
    const net::Be16 fragment{dont_fragment ? Ipv4Header::dont_fragment : std::uint16_t{0}};
    outer.type_of_service = type_of_service;
    outer.total_length = total_length;
    outer.identification = identification;
    outer.fragment = fragment;
    outer.time_to_live = time_to_live;
    outer.protocol = protocol;
    // The prepared header has zero in all of these but, perhaps, the protocol.
    const std::uint8_t added_protocol = prepared.protocol == 0 ? protocol : std::uint8_t{0};
    const net::Be16 first{std::uint16_t{type_of_service}};
    const net::Be16 fifth{static_cast<std::uint16_t>(time_to_live << 8 | added_protocol)};
    std::uint64_t sum = word_sum(prepared);
    for (const net::Be16 word : {first, total_length, identification, fragment, fifth}) sum += word.wire();
    outer.checksum = net::Be16::from_wire(static_cast<std::uint16_t>(~fold(sum)));
}

template <class Inner>
void fill_ipv6(
    Ipv6Header& outer, const Ipv6Header& prepared, const TunnelHeader& header,
    const InnerHeader& inner, std::size_t length
) noexcept {
    const std::uint32_t traffic_class = outer_service(header, inner);
    outer.version_class_label = net::Be32{Ipv6Header::version_6 | traffic_class << 20};
    outer.payload_length = net::Be16{static_cast<std::uint16_t>(length - sizeof(Ipv6Header))};
    outer.hop_limit = outer_time_to_live(header, inner);
    outer.next_header = protocol_of<Inner>(prepared.next_header);
}

/// Prepared headers are 20 bytes or more, in words of four.
void copy_header(std::byte* to, const TunnelHeader& header) noexcept {
    const std::byte* from = header.bytes.data();
    const std::size_t last = header.length - sizeof(std::uint64_t);
    for (std::size_t i = 0; i < last; i += sizeof(std::uint64_t)) {
        net::store(to + i, net::load<std::uint64_t>(from + i));
    }
    net::store(to + last, net::load<std::uint64_t>(from + last));
}

/// UDP and GUE headers at `offset`; `length` counts from there.
template <class Inner>
void fill_gue(
    rte_mbuf* packet,
    const TunnelHeader& header,
    std::size_t offset,
    std::size_t length,
    std::uint64_t flow_hash
) noexcept {
    std::byte* l4 = rte_pktmbuf_mtod_offset(packet, std::byte*, offset);
    auto& udp = *net::header_at<UdpHeader>(l4);
    udp.source_port = source_port(flow_hash);
    udp.length = net::Be16{static_cast<std::uint16_t>(length)};
    net::header_at<GueHeader>(l4 + sizeof(UdpHeader))->protocol =
        number(Inner::family == net::Family::inet ? net::IpProtocol::ipip : net::IpProtocol::ipv6);
    if ((header.tunnel.flags & (TunnelFlags::checksum | TunnelFlags::remote_checksum)) == 0) return;
    const auto* l3 = rte_pktmbuf_mtod(packet, const std::byte*);
    std::uint64_t sum = sum_bytes(packet, offset, length);
    if (header.outer == net::Family::inet) {
        const auto& ip = *net::header_at<Ipv4Header>(l3);
        sum += pseudo_header_sum(ip.source.get(), ip.destination.get(), ip.protocol, length);
    } else {
        const auto& ip = *net::header_at<Ipv6Header>(l3);
        sum += pseudo_header_sum(ip.source.get(), ip.destination.get(), ip.next_header, length);
    }
    const auto checksum = static_cast<std::uint16_t>(~fold(sum));
    udp.checksum = net::Be16::from_wire(checksum == 0 ? std::uint16_t{0xFFFF} : checksum);
}

/// Behind the GUE header, whose end is at `offset`. Linux: ip_vs_xmit.c ipvs_gue_encap.
void write_remote_checksum(rte_mbuf* packet, const Parsed& parsed, std::size_t offset) noexcept {
    std::byte* at = rte_pktmbuf_mtod_offset(packet, std::byte*, offset);
    auto& gue = *net::header_at<GueHeader>(at - sizeof(GueHeader));
    gue.version_control_length = sizeof(GueRemoteChecksum) / 4;
    gue.flags = net::Be16{GueRemoteChecksum::has_private_flags};
    const std::size_t start = std::size_t{parsed.l4_offset} - parsed.l3_offset;
    const std::size_t field =
        restore_partial_checksum(at + sizeof(GueRemoteChecksum) + start, parsed);
    auto& option = *net::header_at<GueRemoteChecksum>(at);
    option.private_flags = net::Be32{GueRemoteChecksum::remote_checksum};
    option.start = net::Be16{static_cast<std::uint16_t>(start)};
    option.offset = net::Be16{static_cast<std::uint16_t>(start + field)};
}

template <class Inner>
void fill_gre(
    rte_mbuf* packet, const TunnelHeader& header, std::size_t offset, std::size_t length
) noexcept {
    std::byte* l4 = rte_pktmbuf_mtod_offset(packet, std::byte*, offset);
    net::header_at<GreHeader>(l4)->protocol = net::Be16{static_cast<std::uint16_t>(
        Inner::family == net::Family::inet ? EtherType::ipv4 : EtherType::ipv6
    )};
    if ((header.tunnel.flags & TunnelFlags::checksum) == 0) return;
    net::header_at<GreChecksum>(l4 + sizeof(GreHeader))->checksum =
        net::Be16::from_wire(static_cast<std::uint16_t>(~sum_bytes(packet, offset, length)));
}

/// What follows the outer IP header, with constant fields set; bytes written.
std::size_t write_inner_template(std::byte* to, const ipvs::Tunnel& tunnel) noexcept {
    switch (tunnel.type) {
        case TunnelType::gue:
            net::header_at<UdpHeader>(to)->destination_port = tunnel.port;
            return sizeof(UdpHeader) + sizeof(GueHeader);
        case TunnelType::gre:
            if ((tunnel.flags & TunnelFlags::checksum) == 0) return sizeof(GreHeader);
            net::header_at<GreHeader>(to)->flags_and_version =
                net::Be16{GreHeader::checksum_present};
            return sizeof(GreHeader) + sizeof(GreChecksum);
        case TunnelType::ipip:
            break;
    }
    return 0;
}

/// The outer protocol number where it does not depend on the inner family, else 0.
std::uint8_t fixed_protocol(TunnelType type) noexcept {
    switch (type) {
        case TunnelType::gue:
            return number(net::IpProtocol::udp);
        case TunnelType::gre:
            return number(net::IpProtocol::gre);
        case TunnelType::ipip:
            break;
    }
    return 0;
}

}  // namespace

TunnelHeader build_tunnel_header(
    const net::IpAddress& destination, const net::IpAddress& source, const ipvs::Tunnel& tunnel
) noexcept {
    TunnelHeader header;
    header.tunnel = tunnel;
    header.outer = destination.family();
    std::size_t length = 0;
    if (header.outer == net::Family::inet) {
        auto& ip = *net::header_at<Ipv4Header>(header.bytes.data());
        ip.version_and_length = Ipv4Header::version_4_no_options;
        ip.protocol = fixed_protocol(tunnel.type);
        ip.source = source.v4();
        ip.destination = destination.v4();
        length = sizeof(Ipv4Header);
    } else {
        auto& ip = *net::header_at<Ipv6Header>(header.bytes.data());
        ip.next_header = fixed_protocol(tunnel.type);
        ip.source = source.v6();
        ip.destination = destination.v6();
        length = sizeof(Ipv6Header);
    }
    length += write_inner_template(header.bytes.data() + length, tunnel);
    header.length = static_cast<std::uint8_t>(length);
    return header;
}

void add_gre_key(TunnelHeader& header, std::uint32_t key) noexcept {
    const std::size_t ip =
        header.outer == net::Family::inet ? sizeof(Ipv4Header) : sizeof(Ipv6Header);
    net::header_at<GreHeader>(header.bytes.data() + ip)->flags_and_version =
        net::Be16{GreHeader::key_present};
    net::store(header.bytes.data() + header.length, net::Be32{key});
    header.length = static_cast<std::uint8_t>(header.length + sizeof(key));
}

template <class Inner>
bool encapsulate(
    rte_mbuf* packet, const Parsed& parsed, const TunnelHeader& header, const Encapsulation& how
) noexcept {
    const std::uint32_t options = option_length(*packet, parsed, header);
    const std::uint32_t prepended = header.length + options;
    if (rte_pktmbuf_headroom(packet) + parsed.l3_offset < prepended) return false;
    const InnerHeader inner =
        inner_header<Inner>(rte_pktmbuf_mtod_offset(packet, std::byte*, parsed.l3_offset));
    // Padding of a short Ethernet frame must not end up inside the tunnel.
    const std::size_t end = std::size_t{parsed.l3_offset} + parsed.l3_length;
    if (packet->pkt_len > end) truncate(packet, end);
    rte_pktmbuf_adj(packet, parsed.l3_offset);
    auto* l3 = reinterpret_cast<std::byte*>(
        rte_pktmbuf_prepend(packet, static_cast<std::uint16_t>(prepended))
    );
    copy_header(l3, header);
    if (options != 0) [[unlikely]] write_remote_checksum(packet, parsed, header.length);

    const std::size_t length = std::size_t{prepended} + parsed.l3_length;
    std::size_t l4_offset = 0;
    if (header.outer == net::Family::inet) {
        const auto& prepared = *net::header_at<Ipv4Header>(header.bytes.data());
        fill_ipv4<Inner>(*net::header_at<Ipv4Header>(l3), prepared, header, inner, length, how);
        l4_offset = sizeof(Ipv4Header);
    } else {
        const auto& prepared = *net::header_at<Ipv6Header>(header.bytes.data());
        fill_ipv6<Inner>(*net::header_at<Ipv6Header>(l3), prepared, header, inner, length);
        l4_offset = sizeof(Ipv6Header);
    }
    switch (header.tunnel.type) {
        case TunnelType::gue:
            fill_gue<Inner>(packet, header, l4_offset, length - l4_offset, how.flow_hash);
            break;
        case TunnelType::gre:
            fill_gre<Inner>(packet, header, l4_offset, length - l4_offset);
            break;
        case TunnelType::ipip:
            break;
    }
    return true;
}

template bool
encapsulate<V4>(rte_mbuf*, const Parsed&, const TunnelHeader&, const Encapsulation&) noexcept;
template bool
encapsulate<V6>(rte_mbuf*, const Parsed&, const TunnelHeader&, const Encapsulation&) noexcept;

}  // namespace nlvs::forwarding
