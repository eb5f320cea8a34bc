#pragma once

#include "compat/net/bytes.hpp"
#include "compat/net/ip_protocol.hpp"
#include "forwarding/connections/connection.hpp"
#include "forwarding/packet/checksum.hpp"
#include "forwarding/packet/flow.hpp"
#include "forwarding/packet/headers/ipv4.hpp"
#include "forwarding/packet/headers/ipv6.hpp"
#include "forwarding/packet/headers/sctp.hpp"
#include "forwarding/packet/headers/tcp.hpp"
#include "forwarding/packet/headers/udp.hpp"
#include "forwarding/packet/transport_checksum.hpp"

#include <cstddef>
#include <cstdint>

namespace nlvs::forwarding {

/// Network address translation of one packet, TTL untouched.
///
///   Direction  field                  becomes
///   request    destination address    connection.destination       (the real server)
///              destination port       connection.destination_port
///   reply      source address         connection.virtual_address
///              source port            connection.virtual_port
///
/// Checksums are updated by what changed (RFC 1624), so a wrong one stays wrong and the receiver
/// notices. Linux: ip_vs_xmit.c ip_vs_nat_xmit, ip_vs_proto_tcp.c tcp_dnat_handler,
/// tcp_snat_handler.

/// What is left to do for the transport checksum.
enum class TransportChecksum : std::uint8_t {
    updated,  ///< nothing
    missing,  ///< UDP without one: Linux computes it (ip_vs_proto_udp.c udp_dnat_handler)
    stale,    ///< SCTP: CRC32c covers the ports and cannot be updated in place
};

/// The address pair and port pair of the header fields that `direction` rewrites.
template <class FamilyTag>
struct Translation {
    typename FamilyTag::Address address;
    net::Port port;
};

template <class FamilyTag, Direction direction>
Translation<FamilyTag> translation_of(const Connection<FamilyTag>& connection) noexcept {
    if constexpr (direction == Direction::request) {
        return {connection.destination, connection.destination_port};
    } else {
        return {connection.virtual_address, connection.virtual_port};
    }
}

/// Replaces the port at `direction`'s place of any transport header and adds it to `delta`.
template <Direction direction>
void rewrite_port(std::byte* l4, net::Port port, ChecksumDelta& delta) noexcept {
    auto& ports = *net::header_at<UdpHeader>(l4);  // TCP, UDP and SCTP begin alike
    auto& field = direction == Direction::request ? ports.destination_port : ports.source_port;
    delta.replace(field.get(), port);
    field = port;
}

/// Replaces the address at `direction`'s place of the IP header, with the IPv4 header checksum,
/// and adds the change to `delta`.
template <class FamilyTag, Direction direction>
void rewrite_address(
    std::byte* l3, const typename FamilyTag::Address& address, ChecksumDelta& delta
) noexcept {
    if constexpr (FamilyTag::family == net::Family::inet) {
        auto& header = *net::header_at<Ipv4Header>(l3);
        auto& field = direction == Direction::request ? header.destination : header.source;
        delta.replace(field.get(), address);
        field = address;
        header.checksum = delta.apply(header.checksum);
    } else {
        auto& header = *net::header_at<Ipv6Header>(l3);
        auto& field = direction == Direction::request ? header.destination : header.source;
        delta.replace(field.get(), address);
        field = address;
    }
}

/// Rewrites a TCP, UDP or SCTP packet whose headers are at `l3` and `l4`.
template <class FamilyTag, Direction direction>
[[nodiscard]] TransportChecksum masquerade_headers(
    std::byte* l3, std::byte* l4, const Connection<FamilyTag>& connection
) noexcept {
    const auto [address, port] = translation_of<FamilyTag, direction>(connection);
    ChecksumDelta delta;
    rewrite_address<FamilyTag, direction>(l3, address, delta);
    switch (net::IpProtocol{connection.protocol}) {
        case net::IpProtocol::tcp: {
            rewrite_port<direction>(l4, port, delta);
            auto& header = *net::header_at<TcpHeader>(l4);
            header.checksum = delta.apply(header.checksum);
            return TransportChecksum::updated;
        }
        case net::IpProtocol::udp: {
            rewrite_port<direction>(l4, port, delta);
            auto& header = *net::header_at<UdpHeader>(l4);
            if (header.checksum.get().wire() == 0) [[unlikely]]
                return TransportChecksum::missing;
            header.checksum = delta.apply_udp(header.checksum);
            return TransportChecksum::updated;
        }
        case net::IpProtocol::sctp: {
            auto& header = *net::header_at<SctpHeader>(l4);
            auto& field =
                direction == Direction::request ? header.destination_port : header.source_port;
            if (field.get() == port) return TransportChecksum::updated;
            field = port;
            return TransportChecksum::stale;
        }
        default:
            return TransportChecksum::updated;
    }
}

/// Rewrites a whole, parsed packet of the connection, checksums completed.
template <class FamilyTag, Direction direction>
[[gnu::always_inline]] inline void masquerade(
    rte_mbuf* packet, const Parsed& parsed, const Connection<FamilyTag>& connection
) noexcept {
    std::byte* l3 = rte_pktmbuf_mtod_offset(packet, std::byte*, parsed.l3_offset);
    if (parsed.protocol != connection.protocol) [[unlikely]] {
        // AH and ESP have no ports, and no checksum that anybody but their ends could mend.
        ChecksumDelta delta;
        return rewrite_address<FamilyTag, direction>(
            l3, translation_of<FamilyTag, direction>(connection).address, delta
        );
    }
    std::byte* l4 = rte_pktmbuf_mtod_offset(packet, std::byte*, parsed.l4_offset);
    if (masquerade_headers<FamilyTag, direction>(l3, l4, connection) != TransportChecksum::updated)
        [[unlikely]] {
        write_transport_checksum(packet, parsed);
    }
}

}  // namespace nlvs::forwarding
