#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace nlvs::daemon {

/// CRC-32C (Castagnoli), RFC 3720 appendix B.4: reflected polynomial 0x82F63B78.
class Crc32c {
public:
    constexpr Crc32c& add(std::span<const std::byte> bytes) noexcept {
        for (const std::byte byte : bytes) {
            const auto index = static_cast<std::uint8_t>(value_ ^ static_cast<std::uint32_t>(byte));
            value_ = table[index] ^ (value_ >> 8);
        }
        return *this;
    }

    constexpr std::uint32_t value() const noexcept { return ~value_; }

private:
    static constexpr std::array<std::uint32_t, 256> table = [] {
        std::array<std::uint32_t, 256> result{};
        for (std::uint32_t i = 0; i < result.size(); ++i) {
            std::uint32_t entry = i;
            for (int bit = 0; bit < 8; ++bit) {
                entry = (entry >> 1) ^ ((entry & 1) != 0 ? 0x82F63B78U : 0U);
            }
            result[i] = entry;
        }
        return result;
    }();

    std::uint32_t value_ = ~0U;
};

}  // namespace nlvs::daemon
