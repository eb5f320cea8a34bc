#pragma once

#include "compat/net/ip_protocol.hpp"
#include "forwarding/packet/parsed.hpp"

#include <cstddef>

#include <rte_mbuf.h>

namespace nlvs::forwarding {

/// Virtual devices (veth, tap, af_packet) hand over packets of the local host whose transport
/// checksum was left to hardware that does not exist: the TCP or UDP field holds only the folded
/// pseudo-header sum, SCTP's is zero. Linux: CHECKSUM_PARTIAL, skb_checksum_help.
///
/// Completes such a checksum; true if it did. The test is exact for its purpose: a field that
/// equals the pseudo-header sum is either partial or, once in 65536 packets, complete by chance,
/// and computing a right checksum again changes nothing. Otherwise it costs a few loads.
/// To be called on ports flagged as virtual, for whole TCP, UDP and SCTP packets, before any
/// rewrite: an incremental update of a partial checksum yields garbage.
/// A completed packet is marked as one that came without (RTE_MBUF_F_RX_L4_CKSUM_NONE), for
/// was_partial(); the mark goes where the packet goes.
bool complete_partial_checksum(rte_mbuf* packet, const Parsed& parsed) noexcept;

/// Did the packet, TCP or UDP, come with a partial checksum?
inline bool was_partial(const rte_mbuf& packet, const Parsed& parsed) noexcept {
    const auto protocol = static_cast<net::IpProtocol>(parsed.protocol);
    return (packet.ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_NONE &&
           (protocol == net::IpProtocol::tcp || protocol == net::IpProtocol::udp);
}

/// Makes the checksum of a TCP or UDP packet at `l4`, with the addresses it came with, partial
/// again; returns where in the header it is.
std::size_t restore_partial_checksum(std::byte* l4, const Parsed& parsed) noexcept;

}  // namespace nlvs::forwarding
