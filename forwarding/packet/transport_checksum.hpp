#pragma once

#include "compat/net/bytes.hpp"
#include "forwarding/packet/checksum.hpp"
#include "forwarding/packet/headers/ipv4.hpp"
#include "forwarding/packet/headers/ipv6.hpp"
#include "forwarding/packet/parsed.hpp"

#include <cstddef>
#include <cstdint>

#include <rte_mbuf.h>

namespace nlvs::forwarding {

/// Ones' complement sum of the pseudo-header, unfolded.
template <class Address>
std::uint64_t pseudo_header_sum(
    const Address& source, const Address& destination, std::uint8_t protocol, std::size_t length
) noexcept {
    return word_sum(source) + word_sum(destination) +
           net::Be16{static_cast<std::uint16_t>(protocol)}.wire() +
           net::Be32{static_cast<std::uint32_t>(length)}.wire();
}

/// Ones' complement sum of `length` bytes at `offset` of a chain, which must hold them.
std::uint16_t sum_bytes(const rte_mbuf* packet, std::size_t offset, std::size_t length) noexcept;

/// Computes the TCP, UDP, SCTP or ICMPv4/v6 checksum of a parsed, whole (not fragmented) packet
/// afresh and writes it. Whatever the field held before does not matter. The frame must begin
/// where it began when it was parsed.
void write_transport_checksum(rte_mbuf* packet, const Parsed& parsed) noexcept;

/// True if the transport or ICMP checksum of a parsed, whole packet is right. UDP over IPv4
/// without a checksum counts as right.
bool has_valid_transport_checksum(const rte_mbuf* packet, const Parsed& parsed) noexcept;

}  // namespace nlvs::forwarding
