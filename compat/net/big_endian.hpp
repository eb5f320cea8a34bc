#pragma once

#include <bit>
#include <compare>
#include <cstdint>
#include <type_traits>

namespace nlvs::net {

/// An integer as it stands on the wire. Conversion is explicit in both directions, so that host
/// and network order never mix by accident; nobody may add an implicit one.
template <class Integer>
    requires std::is_unsigned_v<Integer>
class BigEndian {
public:
    constexpr BigEndian() = default;

    constexpr explicit BigEndian(Integer host) noexcept : wire_{swap(host)} {}

    /// Takes bytes that already are in network order.
    static constexpr BigEndian from_wire(Integer wire) noexcept {
        BigEndian result;
        result.wire_ = wire;
        return result;
    }

    constexpr Integer host() const noexcept { return swap(wire_); }

    constexpr Integer wire() const noexcept { return wire_; }

    friend constexpr bool operator==(BigEndian, BigEndian) = default;

    friend constexpr std::strong_ordering operator<=>(BigEndian a, BigEndian b) noexcept {
        return a.host() <=> b.host();
    }

private:
    static constexpr Integer swap(Integer value) noexcept {
        if constexpr (std::endian::native == std::endian::big || sizeof(Integer) == 1) {
            return value;
        } else if constexpr (sizeof(Integer) == 2) {
            return __builtin_bswap16(value);
        } else if constexpr (sizeof(Integer) == 4) {
            return __builtin_bswap32(value);
        } else {
            return __builtin_bswap64(value);
        }
    }

    Integer wire_ = 0;
};

using Be16 = BigEndian<std::uint16_t>;
using Be32 = BigEndian<std::uint32_t>;
using Be64 = BigEndian<std::uint64_t>;

static_assert(sizeof(Be16) == 2 && sizeof(Be32) == 4 && sizeof(Be64) == 8);
static_assert(std::is_trivially_copyable_v<Be32>);
static_assert(!std::is_convertible_v<Be16, std::uint16_t>);
static_assert(!std::is_convertible_v<std::uint16_t, Be16>);

}  // namespace nlvs::net
