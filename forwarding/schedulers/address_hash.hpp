#pragma once

#include "compat/net/ip_address.hpp"

#include <bit>
#include <cstdint>

namespace nlvs::forwarding {

/// An address as one word. The service's family decides how much of it counts: a v6 destination
/// of a v4 tunnel service contributes its first word only, as in the kernel.
/// Linux: ip_vs.h ip_vs_addr_fold.
constexpr std::uint32_t fold_address(const net::IpAddress& address, net::Family family) noexcept {
    const auto& bytes = address.bytes();
    const auto word = [&bytes](unsigned at) {
        return (std::uint32_t{bytes[at]} << 24) | (std::uint32_t{bytes[at + 1]} << 16) |
               (std::uint32_t{bytes[at + 2]} << 8) | std::uint32_t{bytes[at + 3]};
    };
    if (family == net::Family::inet) return word(0);
    return word(0) ^ word(4) ^ word(8) ^ word(12);
}

/// Multiplicative hash to `bits` bits. Linux: hash.h hash_32.
constexpr std::uint32_t hash_word(std::uint32_t value, unsigned bits) noexcept {
    return (value * 0x61C88647U) >> (32 - bits);
}

/// SipHash-1-3 of the four little-endian bytes of `value` under the key (key, key), low 32 bits.
/// Aumasson & Bernstein, "SipHash: a fast short-input PRF". Linux: hsiphash_1u32 on 64-bit.
constexpr std::uint32_t sip_hash(std::uint32_t value, std::uint64_t key) noexcept {
    std::uint64_t v0 = 0x736F6D6570736575ULL ^ key;
    std::uint64_t v1 = 0x646F72616E646F6DULL ^ key;
    std::uint64_t v2 = 0x6C7967656E657261ULL ^ key;
    std::uint64_t v3 = 0x7465646279746573ULL ^ key;
    const auto round = [&]() {
        v0 += v1;
        v1 = std::rotl(v1, 13) ^ v0;
        v0 = std::rotl(v0, 32);
        v2 += v3;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 += v3;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 += v1;
        v1 = std::rotl(v1, 17) ^ v2;
        v2 = std::rotl(v2, 32);
    };
    const std::uint64_t last_block = (std::uint64_t{4} << 56) | value;  // length, then the bytes
    v3 ^= last_block;
    round();
    v0 ^= last_block;
    v2 ^= 0xFF;
    for (int i = 0; i < 3; ++i) round();
    return static_cast<std::uint32_t>(v0 ^ v1 ^ v2 ^ v3);
}

}  // namespace nlvs::forwarding
