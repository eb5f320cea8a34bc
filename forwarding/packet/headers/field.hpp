#pragma once

#include "compat/net/big_endian.hpp"
#include "compat/net/ip_address.hpp"
#include "compat/net/port.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace nlvs::forwarding {

/// A value as it lies in a packet header: alignment 1, converts from and to T without loss. Reads
/// and writes are single moves. Headers are made of these, so that one at any offset may be
/// viewed in place (net::header_at).
template <class T>
requires std::is_trivially_copyable_v<T>

class Field {
public:
    Field() = default;

    Field(const T& value) noexcept { *this = value; }  // NOLINT: lossless and intended

    Field& operator=(const T& value) noexcept {
        std::memcpy(bytes_.data(), &value, sizeof(T));
        return *this;
    }

    operator T() const noexcept { return get(); }  // NOLINT: lossless and intended

    T get() const noexcept {
        T value;
        std::memcpy(&value, bytes_.data(), sizeof(T));
        return value;
    }

    auto host() const noexcept requires requires(T value) { value.host(); }

    { return get().host(); }

private:
    std::array<std::byte, sizeof(T)> bytes_;
};

using Field16 = Field<net::Be16>;
using Field32 = Field<net::Be32>;

static_assert(sizeof(Field16) == 2 && alignof(Field16) == 1);
static_assert(sizeof(Field<net::Ipv6Address>) == 16 && alignof(Field<net::Ipv6Address>) == 1);
static_assert(std::is_trivially_copyable_v<Field32>);
static_assert(std::is_trivially_default_constructible_v<Field32>);

}  // namespace nlvs::forwarding
