#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <string>

#include "compat/net/ip_address.hpp"

namespace nlvs::net {

/// A network: address and length, host bits always zero.
class Prefix {
public:
    constexpr Prefix() = default;

    /// Clears the host bits; a length beyond the family's is cut to it.
    constexpr Prefix(const IpAddress& address, unsigned length) noexcept
        : length_{static_cast<std::uint8_t>(std::min(length, address.bits()))} {
        auto bytes = address.bytes();
        for (unsigned i = 0; i < bytes.size(); ++i) {
            const unsigned kept = length_ > i * 8 ? std::min(length_ - i * 8, 8U) : 0;
            bytes[i] = static_cast<std::uint8_t>(bytes[i] & (0xFF00U >> kept));
        }
        const Ipv6Address masked{bytes};
        if (address.is_v6()) {
            address_ = masked;
        } else {
            address_ = IpAddress{Ipv4Address{
                (std::uint32_t{bytes[0]} << 24) | (std::uint32_t{bytes[1]} << 16) |
                (std::uint32_t{bytes[2]} << 8) | std::uint32_t{bytes[3]}
            }};
        }
    }

    constexpr const IpAddress& address() const noexcept { return address_; }

    constexpr unsigned length() const noexcept { return length_; }

    constexpr Family family() const noexcept { return address_.family(); }

    constexpr bool contains(const IpAddress& address) const noexcept {
        return address.family() == family() && Prefix{address, length_} == *this;
    }

    friend constexpr auto operator<=>(const Prefix&, const Prefix&) = default;

private:
    IpAddress address_;
    std::uint8_t length_ = 0;
};

inline std::string print(const Prefix& prefix) {
    return print(prefix.address()) + "/" + std::to_string(prefix.length());
}

}  // namespace nlvs::net
