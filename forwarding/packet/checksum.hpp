#pragma once

#include "compat/net/bytes.hpp"
#include "compat/net/ip_address.hpp"
#include "compat/net/port.hpp"
#include "forwarding/packet/headers/ipv4.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>

namespace nlvs::forwarding {

/// Theory of operation. The Internet checksum is the complement of a ones' complement sum of
/// 16-bit words, that is of a sum modulo 0xFFFF in which 0 is written 0xFFFF unless every word is
/// zero. Three consequences are used here:
///  - the sum does not care about byte order, so words are added as they lie in memory;
///  - 2^16 ≡ 1, so wider words may be added and folded at the end;
///  - replacing m by m' adds ~m + m' (RFC 1624, equation 3: HC' = ~(~HC + ~m + m')), and several
///    replacements, or one that is in two checksums, add up in one number.

/// Folds a sum of words to 16 bits. Non-zero sums stay non-zero. Adding a number to itself with its
/// halves exchanged leaves in the upper half the sum of both and the carry of the lower.
constexpr std::uint16_t fold(std::uint64_t sum) noexcept {
    const auto half = static_cast<std::uint32_t>((sum + std::rotr(sum, 32)) >> 32);
    return static_cast<std::uint16_t>((half + std::rotr(half, 16)) >> 16);
}

/// Words of a value as it lies in a packet; even sizes.
template <class T>
std::uint64_t word_sum(const T& value) noexcept {
    static_assert(sizeof(T) % 2 == 0);
    const std::byte* from = net::as_bytes_of(value).data();
    std::uint64_t sum = 0;
    std::size_t i = 0;
    for (; i + 4 <= sizeof(T); i += 4) sum += net::load<std::uint32_t>(from + i);
    if constexpr (sizeof(T) % 4 != 0) sum += net::load<std::uint16_t>(from + i);
    return sum;
}

/// The effect of replaced header fields on every checksum that covers them.
class ChecksumDelta {
public:
    template <class T>
    void replace(const T& before, const T& after) noexcept {
        static_assert(sizeof(T) == 2 || sizeof(T) % 4 == 0);
        if constexpr (sizeof(T) == 2) {
            sum_ += 0xFFFFU - net::load<std::uint16_t>(net::as_bytes_of(before).data());
        } else {
            // 0xFFFFFFFF ≡ 0, once per word, makes the difference non-negative.
            sum_ += (sizeof(T) / 4) * 0xFFFFFFFFULL - word_sum(before);
        }
        sum_ += word_sum(after);
    }

    /// The checksum after the replacements.
    net::Be16 apply(net::Be16 checksum) const noexcept {
        const auto inverted = static_cast<std::uint16_t>(~checksum.wire());
        return net::Be16::from_wire(static_cast<std::uint16_t>(~fold(inverted + sum_)));
    }

    /// UDP writes 0 as 0xFFFF (RFC 768). The caller deals with "no checksum" beforehand.
    net::Be16 apply_udp(net::Be16 checksum) const noexcept {
        const net::Be16 result = apply(checksum);
        return result.wire() == 0 ? net::Be16::from_wire(0xFFFF) : result;
    }

private:
    std::uint64_t sum_ = 0;
};

/// Sum of an IPv4 header's words, checksum field included; 0xFFFF when that is right.
inline std::uint16_t header_sum(const Ipv4Header& header) noexcept {
    std::uint64_t sum = word_sum(header);
    if (header.version_and_length != Ipv4Header::version_4_no_options) [[unlikely]] {
        const std::byte* start = net::as_bytes_of(header).data();
        for (std::size_t i = sizeof(Ipv4Header); i < header.length(); i += 4) {
            sum += net::load<std::uint32_t>(start + i);
        }
    }
    return fold(sum);
}

inline bool has_valid_checksum(const Ipv4Header& header) noexcept {
    return header_sum(header) == 0xFFFF;
}

/// Computes the header's checksum afresh.
inline void write_checksum(Ipv4Header& header) noexcept {
    header.checksum = net::Be16{};
    header.checksum = net::Be16::from_wire(static_cast<std::uint16_t>(~header_sum(header)));
}

/// One hop less; the caller has checked that ttl > 1. The word of TTL and protocol falls by 0x0100,
/// so the checksum rises by it, with the carry brought around.
inline void decrement_ttl(Ipv4Header& header) noexcept {
    --header.time_to_live;
    const std::uint32_t sum = std::uint32_t{header.checksum.get().wire()} + net::Be16{std::uint16_t{0x0100}}.wire();
    header.checksum = net::Be16::from_wire(static_cast<std::uint16_t>(sum + (sum >= 0xFFFF ? 1 : 0)));
}

}  // namespace nlvs::forwarding
