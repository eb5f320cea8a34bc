#pragma once

#include "compat/net/bytes.hpp"
#include "compat/net/ip_protocol.hpp"
#include "forwarding/config/adjacency.hpp"
#include "forwarding/packet/headers/ipv4.hpp"
#include "forwarding/packet/headers/ipv6.hpp"

#include <cstddef>
#include <cstdint>

namespace nlvs::forwarding {

/// What spreads packets over the members of a bond: equal for all packets of a flow, and with
/// Spread::addresses for all packets between two hosts. Fragments have no ports, so that those of
/// one datagram stay together. `l3` is whole as far as parse() has checked; `readable` counts from
/// there. Linux: bond_main.c bond_xmit_hash (with a hash of its own).
inline std::uint32_t bond_hash(
    Spread spread, net::Family family, const std::byte* l3, std::size_t readable
) noexcept {
    std::uint64_t sum = 0;
    std::uint8_t protocol = 0;
    std::size_t header = sizeof(Ipv6Header);
    if (family == net::Family::inet) {
        const auto& ip = *net::header_at<Ipv4Header>(l3);
        sum = net::load<std::uint64_t>(l3 + 12);  // both addresses
        sum ^= sum >> 32;
        protocol = ip.is_fragment() ? std::uint8_t{0} : ip.protocol;
        header = ip.length();
    } else {
        for (std::size_t at = 8; at < sizeof(Ipv6Header); at += 8) sum ^= net::load<std::uint64_t>(l3 + at);
        sum ^= sum >> 32;
        protocol = net::header_at<Ipv6Header>(l3)->next_header;
    }
    const net::IpProtocol known{protocol};
    const bool has_ports = known == net::IpProtocol::tcp || known == net::IpProtocol::udp ||
                           known == net::IpProtocol::sctp;
    if (spread == Spread::flow && has_ports && readable >= header + 4) {
        const auto ports = net::load<std::uint32_t>(l3 + header);
        sum ^= ports ^ (ports >> 16);
    }
    return static_cast<std::uint32_t>((sum * 0x9E3779B97F4A7C15ULL) >> 32);
}

/// The port by which a finished frame leaves. `turn` is the sending worker's.
inline PortIndex bond_member(
    const Adjacency& adjacency, net::Family family, const std::byte* frame, std::size_t readable,
    std::uint32_t& turn
) noexcept {
    const std::uint32_t hash =
        adjacency.spread == Spread::turn
            ? turn++
            : bond_hash(
                  adjacency.spread, family, frame + adjacency.l2_length,
                  readable - adjacency.l2_length
              );
    return adjacency.members[hash % adjacency.member_count];
}

}  // namespace nlvs::forwarding
