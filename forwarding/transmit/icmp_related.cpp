#include "forwarding/transmit/icmp_related.hpp"

#include "compat/net/bytes.hpp"
#include "forwarding/packet/checksum.hpp"
#include "forwarding/packet/headers/icmp.hpp"
#include "forwarding/packet/headers/icmpv6.hpp"
#include "forwarding/packet/headers/ipv4.hpp"
#include "forwarding/packet/transport_checksum.hpp"
#include "forwarding/transmit/masquerade.hpp"

namespace nlvs::forwarding {
namespace {

constexpr Direction opposite(Direction direction) noexcept {
    return direction == Direction::request ? Direction::reply : Direction::request;
}

/// Rewrites the embedded packet; returns the effect on the ICMP checksum around it.
template <class FamilyTag, Direction direction>
ChecksumDelta rewrite_embedded(
    std::byte* l3, std::byte* l4, const Translation<FamilyTag>& translation
) noexcept {
    ChecksumDelta delta;
    if constexpr (FamilyTag::family == net::Family::inet) {
        // The header's own checksum is part of what the ICMP checksum covers.
        auto& header = *net::header_at<Ipv4Header>(l3);
        const net::Be16 before = header.checksum;
        rewrite_address<FamilyTag, direction>(l3, translation.address, delta);
        delta.replace(before, header.checksum.get());
    } else {
        rewrite_address<FamilyTag, direction>(l3, translation.address, delta);
    }
    rewrite_port<direction>(l4, translation.port, delta);
    return delta;
}

}  // namespace

template <class FamilyTag, Direction direction>
bool masquerade_icmp_error(
    rte_mbuf* packet, const Parsed& parsed, const Connection<FamilyTag>& connection
) noexcept {
    if (!has_valid_transport_checksum(packet, parsed)) return false;
    const auto translation = translation_of<FamilyTag, direction>(connection);
    auto* frame = rte_pktmbuf_mtod(packet, std::byte*);
    ChecksumDelta delta = rewrite_embedded<FamilyTag, opposite(direction)>(
        frame + parsed.inner_l3_offset, frame + parsed.inner_l4_offset, translation
    );
    std::byte* l3 = frame + parsed.l3_offset;
    auto& icmp = *net::header_at<IcmpHeader>(frame + parsed.l4_offset);
    if constexpr (FamilyTag::family == net::Family::inet) {
        ChecksumDelta of_header;
        rewrite_address<FamilyTag, direction>(l3, translation.address, of_header);
    } else {
        // ICMPv6 covers a pseudo-header, so the outer address counts as well.
        rewrite_address<FamilyTag, direction>(l3, translation.address, delta);
    }
    icmp.checksum = delta.apply(icmp.checksum);
    return true;
}

template bool masquerade_icmp_error<
    V4,
    Direction::request>(rte_mbuf*, const Parsed&, const Connection<V4>&) noexcept;
template bool masquerade_icmp_error<
    V4,
    Direction::reply>(rte_mbuf*, const Parsed&, const Connection<V4>&) noexcept;
template bool masquerade_icmp_error<
    V6,
    Direction::request>(rte_mbuf*, const Parsed&, const Connection<V6>&) noexcept;
template bool masquerade_icmp_error<
    V6,
    Direction::reply>(rte_mbuf*, const Parsed&, const Connection<V6>&) noexcept;

}  // namespace nlvs::forwarding
