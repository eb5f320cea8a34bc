#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace nlvs::rig {

/// Latencies in TSC cycles, each bucket 1/32 of its power of two wide.
class Histogram {
public:
    void add(std::uint64_t cycles) noexcept {
        ++counts_[bucket(cycles)];
        ++total_;
    }

    /// The upper edge of the bucket that holds this share (0..1) of what was added; 0 when empty.
    std::uint64_t quantile(double share) const noexcept {
        const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(total_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen > 0 && seen >= wanted) return edge(i);
        }
        return 0;
    }

    std::uint64_t total() const noexcept { return total_; }

private:
    static constexpr unsigned precision = 5;
    static constexpr std::size_t steps = 1U << precision;

    static std::size_t bucket(std::uint64_t value) noexcept {
        if (value < steps) return value;
        const auto power = static_cast<unsigned>(std::bit_width(value)) - 1 - precision;
        return (power + 1) * steps + ((value >> power) - steps);
    }

    static std::uint64_t edge(std::size_t index) noexcept {
        if (index < steps) return index;
        const std::size_t power = index / steps - 1;
        return ((index % steps + steps + 1) << power) - 1;
    }

    std::array<std::uint64_t, steps*(65 - precision)> counts_{};
    std::uint64_t total_ = 0;
};

}  // namespace nlvs::rig
