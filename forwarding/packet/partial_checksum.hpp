#pragma once

#include "forwarding/packet/parsed.hpp"

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
bool complete_partial_checksum(rte_mbuf* packet, const Parsed& parsed) noexcept;

}  // namespace nlvs::forwarding
