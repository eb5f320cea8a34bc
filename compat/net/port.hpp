#pragma once

#include "compat/net/big_endian.hpp"

namespace nlvs::net {

/// A transport port. Not an integer: no arithmetic, explicit construction from host order.
class Port {
public:
    constexpr Port() = default;

    constexpr explicit Port(std::uint16_t host) noexcept : value_{host} {}

    constexpr explicit Port(Be16 wire) noexcept : value_{wire} {}

    constexpr std::uint16_t host() const noexcept { return value_.host(); }

    constexpr Be16 wire() const noexcept { return value_; }

    constexpr bool is_any() const noexcept { return value_.wire() == 0; }

    friend constexpr auto operator<=>(Port, Port) = default;

private:
    Be16 value_;
};

static_assert(sizeof(Port) == 2);

}  // namespace nlvs::net
