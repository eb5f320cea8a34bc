#include "forwarding/transmit/icmp_reply.hpp"

#include "compat/net/bytes.hpp"
#include "compat/net/ip_protocol.hpp"
#include "forwarding/packet/checksum.hpp"
#include "forwarding/packet/headers/icmp.hpp"
#include "forwarding/packet/headers/icmpv6.hpp"
#include "forwarding/packet/headers/ipv4.hpp"
#include "forwarding/packet/headers/ipv6.hpp"
#include "forwarding/packet/transport_checksum.hpp"
#include "forwarding/packet/unicast.hpp"
#include "forwarding/transmit/direct_route.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace nlvs::forwarding {
namespace {

// RFC 1812 4.3.2.3 and RFC 4443 2.4 c.
constexpr std::size_t maximum_v4 = 576;
constexpr std::size_t maximum_v6 = 1280;
constexpr std::uint8_t hop_limit = 64;
constexpr std::uint8_t tos_internet_control =
    0xC0;  // Linux: RT_TOS(…) | IPTOS_PREC_INTERNETCONTROL

struct TypeAndCode {
    std::uint8_t type;
    std::uint8_t code;
};

constexpr TypeAndCode code(IcmpUnreachable code) noexcept {
    return {
        static_cast<std::uint8_t>(IcmpType::destination_unreachable),
        static_cast<std::uint8_t>(code)};
}

constexpr TypeAndCode code(Icmpv6Unreachable code) noexcept {
    return {
        static_cast<std::uint8_t>(Icmpv6Type::destination_unreachable),
        static_cast<std::uint8_t>(code)};
}

TypeAndCode v4_of(IcmpError error) noexcept {
    switch (error) {
        case IcmpError::port_unreachable:
            return code(IcmpUnreachable::port);
        case IcmpError::host_unreachable:
            return code(IcmpUnreachable::host);
        case IcmpError::prohibited:
            return code(IcmpUnreachable::administratively_prohibited);
        case IcmpError::too_big:
        case IcmpError::reply_too_big:
            return code(IcmpUnreachable::fragmentation_needed);
        case IcmpError::time_exceeded:
            break;
    }
    return {static_cast<std::uint8_t>(IcmpType::time_exceeded), 0};
}

TypeAndCode v6_of(IcmpError error) noexcept {
    switch (error) {
        case IcmpError::port_unreachable:
            return code(Icmpv6Unreachable::port);
        case IcmpError::host_unreachable:
            return code(Icmpv6Unreachable::address);
        case IcmpError::prohibited:
            return code(Icmpv6Unreachable::administratively_prohibited);
        case IcmpError::too_big:
        case IcmpError::reply_too_big:
            return {static_cast<std::uint8_t>(Icmpv6Type::packet_too_big), 0};
        case IcmpError::time_exceeded:
            break;
    }
    return {static_cast<std::uint8_t>(Icmpv6Type::time_exceeded), 0};
}

bool may_tell_sender(const rte_mbuf* packet, const Parsed& parsed, IcmpError error) noexcept {
    if (parsed.kind == PacketKind::icmp_error || parsed.kind == PacketKind::malformed ||
        parsed.later_fragment) {
        return false;
    }
    if (parsed.family == net::Family::inet) {
        const auto* l2 = rte_pktmbuf_mtod(packet, const std::byte*);
        const bool group_addressed = parsed.l3_offset > 0 && (l2[0] & std::byte{1}) != std::byte{0};
        return !group_addressed && is_unicast(parsed.flow4.source) &&
               !is_loopback(parsed.flow4.source) && is_unicast(parsed.flow4.destination);
    }
    return is_unicast(parsed.flow6.source) &&
           (is_about_size(error) || is_unicast(parsed.flow6.destination));
}

/// Copies the first `length` bytes of the IP packet, wherever segments end.
void quote(
    const rte_mbuf* packet, const Parsed& parsed, std::byte* to, std::size_t length
) noexcept {
    const void* from =
        rte_pktmbuf_read(packet, parsed.l3_offset, static_cast<std::uint32_t>(length), to);
    if (from != nullptr && from != to) std::memcpy(to, from, length);
}

/// An mbuf with `length` bytes of data; null if the pool is empty or its buffers too small.
rte_mbuf* allocate(const rte_mbuf* packet, std::size_t length) noexcept {
    rte_mbuf* reply = rte_pktmbuf_alloc(packet->pool);
    if (reply == nullptr) return nullptr;
    if (rte_pktmbuf_append(reply, static_cast<std::uint16_t>(length)) == nullptr) {
        rte_pktmbuf_free(reply);
        return nullptr;
    }
    return reply;
}

net::Be16 complement(std::uint16_t sum) noexcept {
    return net::Be16::from_wire(static_cast<std::uint16_t>(~sum));
}

}  // namespace

namespace {

rte_mbuf* build_v4(
    const rte_mbuf* packet,
    const Parsed& parsed,
    const IcmpMessage& message,
    const net::Ipv4Address& source,
    bool shows_next_hop
) noexcept {
    constexpr std::size_t headers = sizeof(Ipv4Header) + sizeof(IcmpHeader);
    const std::size_t quoted = std::min<std::size_t>(parsed.l3_length, maximum_v4 - headers);
    rte_mbuf* reply = allocate(packet, headers + quoted);
    if (reply == nullptr) return nullptr;

    auto* l3 = rte_pktmbuf_mtod(reply, std::byte*);
    auto& icmp = *net::header_at<IcmpHeader>(l3 + sizeof(Ipv4Header));
    std::byte* quotation = l3 + headers;
    quote(packet, parsed, quotation, quoted);
    if (shows_next_hop) decrement_ttl<V4>(quotation);

    icmp.type = message.type;
    icmp.code = message.code;
    icmp.checksum = net::Be16{};
    icmp.unused = net::Be16{static_cast<std::uint16_t>(message.rest >> 16)};
    icmp.next_hop_mtu = net::Be16{static_cast<std::uint16_t>(message.rest)};
    icmp.checksum = complement(sum_bytes(reply, sizeof(Ipv4Header), sizeof(IcmpHeader) + quoted));

    auto& ip = *net::header_at<Ipv4Header>(l3);
    ip.version_and_length = Ipv4Header::version_4_no_options;
    ip.type_of_service = tos_internet_control;
    ip.total_length = net::Be16{static_cast<std::uint16_t>(headers + quoted)};
    // Distinct enough for a packet that is hardly ever fragmented, and needs no state.
    ip.identification = icmp.checksum;
    ip.fragment = net::Be16{};
    ip.time_to_live = hop_limit;
    ip.protocol = static_cast<std::uint8_t>(net::IpProtocol::icmp);
    ip.source = source;
    ip.destination = parsed.flow4.source;
    write_checksum(ip);
    return reply;
}

}  // namespace

rte_mbuf* make_icmp_message(
    const rte_mbuf* packet, const Parsed& parsed, const IcmpMessage& message,
    const net::Ipv4Address& source
) noexcept {
    // Whoever may be told of this error may be told of any other.
    if (!may_tell_sender(packet, parsed, IcmpError::host_unreachable)) return nullptr;
    return build_v4(packet, parsed, message, source, false);
}

template <>
rte_mbuf* make_icmp_error<V4>(
    const rte_mbuf* packet,
    const Parsed& parsed,
    IcmpError error,
    std::uint32_t mtu,
    const net::Ipv4Address& source
) noexcept {
    if (!may_tell_sender(packet, parsed, error)) return nullptr;
    const auto [type, code] = v4_of(error);
    return build_v4(
        packet, parsed, {type, code, is_about_size(error) ? mtu : 0}, source,
        error == IcmpError::too_big
    );
}

template <>
rte_mbuf* make_icmp_error<V6>(
    const rte_mbuf* packet,
    const Parsed& parsed,
    IcmpError error,
    std::uint32_t mtu,
    const net::Ipv6Address& source
) noexcept {
    if (!may_tell_sender(packet, parsed, error)) return nullptr;
    constexpr std::size_t headers = sizeof(Ipv6Header) + sizeof(Icmpv6Header);
    const std::size_t quoted = std::min<std::size_t>(parsed.l3_length, maximum_v6 - headers);
    rte_mbuf* reply = allocate(packet, headers + quoted);
    if (reply == nullptr) return nullptr;

    auto* l3 = rte_pktmbuf_mtod(reply, std::byte*);
    auto& icmp = *net::header_at<Icmpv6Header>(l3 + sizeof(Ipv6Header));
    std::byte* quotation = l3 + headers;
    quote(packet, parsed, quotation, quoted);
    if (error == IcmpError::too_big) decrement_ttl<V6>(quotation);

    const std::size_t payload = sizeof(Icmpv6Header) + quoted;
    auto& ip = *net::header_at<Ipv6Header>(l3);
    ip.version_class_label = net::Be32{Ipv6Header::version_6};
    ip.payload_length = net::Be16{static_cast<std::uint16_t>(payload)};
    ip.next_header = static_cast<std::uint8_t>(net::IpProtocol::icmpv6);
    ip.hop_limit = hop_limit;
    ip.source = source;
    ip.destination = parsed.flow6.source;

    const auto [type, code] = v6_of(error);
    icmp.type = type;
    icmp.code = code;
    icmp.checksum = net::Be16{};
    icmp.parameter = net::Be32{is_about_size(error) ? mtu : 0};
    icmp.checksum = complement(fold(
        pseudo_header_sum(source, parsed.flow6.source, ip.next_header, payload) +
        sum_bytes(reply, sizeof(Ipv6Header), payload)
    ));
    return reply;
}

}  // namespace nlvs::forwarding
