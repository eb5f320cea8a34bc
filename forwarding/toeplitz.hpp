#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace nlvs::forwarding {

/// The hash by which NICs choose a queue, in software: of every set bit of the input the 32 bits of
/// the key that begin there, XORed. A table for each octet of the input makes that one load an octet.
/// Source: Microsoft, "RSS hashing functions" (NDIS); its test vectors are in toeplitz_test.cpp.
/// Thread: any (constant after construction).
class Toeplitz {
public:
    static constexpr std::size_t key_size = 52;  ///< octets; NICs take 40 or 52, the first ones count
    static constexpr std::size_t longest_input = 36;  ///< octets: two IPv6 addresses and two ports
    using Key = std::array<std::uint8_t, key_size>;

    /// The key that nlvs gives to NICs: random bits, the same in every director, so that one that
    /// is replaced spreads as before.
    static const Key default_key;

    explicit Toeplitz(const Key& key) noexcept;

    /// `input` in network byte order, at most longest_input octets.
    std::uint32_t operator()(std::span<const std::uint8_t> input) const noexcept {
        std::uint32_t hash = 0;
        for (std::size_t i = 0; i < input.size(); ++i) hash ^= tables_[i][input[i]];
        return hash;
    }

private:
    std::array<std::array<std::uint32_t, 256>, longest_input> tables_;
};

/// Which queue of a port gets a hash: the NIC's redirection table, alike on every port, whatever the
/// size of theirs.
class RedirectionTable {
public:
    /// `entries` of the smallest table among the ports, a power of two.
    RedirectionTable(std::uint16_t entries, std::uint16_t queues) noexcept
        : mask_{static_cast<std::uint16_t>(entries - 1)}, queues_{queues} {}

    std::uint16_t queue(std::uint32_t hash) const noexcept {
        return static_cast<std::uint16_t>((hash & mask_) % queues_);
    }

private:
    std::uint16_t mask_;
    std::uint16_t queues_;
};

}  // namespace nlvs::forwarding
