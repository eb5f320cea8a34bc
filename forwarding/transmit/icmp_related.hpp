#pragma once

#include "forwarding/connections/connection.hpp"
#include "forwarding/packet/flow.hpp"
#include "forwarding/packet/parsed.hpp"

#include <rte_mbuf.h>

namespace nlvs::forwarding {

/// ICMP errors about packets of a masqueraded connection.
///
/// The error embeds a packet of the opposite direction as its sender saw it, so what is looked
/// up is Parsed::flow().inverted(), and what the look-up finds is the direction of the error:
///
///   Direction  comes from        outer header          embedded header
///   request    client side       destination → server  source → server, its port
///   reply      real server side  source → virtual      destination → virtual, its port
///
/// IP header checksums and the ICMP checksum follow; the embedded transport checksum is not
/// touched, as nobody can verify it from a quotation. The hop count is the caller's business.
/// Linux: ip_vs_core.c ip_vs_nat_icmp, ip_vs_nat_icmp_v6, handle_response_icmp.
///
/// False (and nothing changed) if the ICMP checksum is wrong: the packet is dropped.
template <class FamilyTag, Direction direction>
[[nodiscard]] bool masquerade_icmp_error(
    rte_mbuf* packet, const Parsed& parsed, const Connection<FamilyTag>& connection
) noexcept;

extern template bool masquerade_icmp_error<
    V4,
    Direction::request>(rte_mbuf*, const Parsed&, const Connection<V4>&) noexcept;
extern template bool masquerade_icmp_error<
    V4,
    Direction::reply>(rte_mbuf*, const Parsed&, const Connection<V4>&) noexcept;
extern template bool masquerade_icmp_error<
    V6,
    Direction::request>(rte_mbuf*, const Parsed&, const Connection<V6>&) noexcept;
extern template bool masquerade_icmp_error<
    V6,
    Direction::reply>(rte_mbuf*, const Parsed&, const Connection<V6>&) noexcept;

}  // namespace nlvs::forwarding
