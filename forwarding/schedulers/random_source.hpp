#pragma once

#include <cstdint>

namespace nlvs::forwarding {

/// A small generator for load-balancing draws; not for secrets. (Weyl sequence with a
/// multiply-xorshift finaliser, after Steele, Lea and Flood's SplitMix64.)
/// Thread: the owning worker.
class RandomSource {
public:
    constexpr explicit RandomSource(std::uint64_t seed) noexcept : state_{seed} {}

    constexpr std::uint64_t next() noexcept {
        std::uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        return z ^ (z >> 31);
    }

    /// Uniform in [0, bound), bound > 0; the bias is bound / 2^64.
    constexpr std::uint64_t below(std::uint64_t bound) noexcept {
        const auto product = static_cast<unsigned __int128>(next()) * bound;
        return static_cast<std::uint64_t>(product >> 64);
    }

private:
    std::uint64_t state_;
};

}  // namespace nlvs::forwarding
