#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "compat/net/big_endian.hpp"

namespace nlvs::net {

/// Address families by their Linux number (AF_INET, AF_INET6).
enum class Family : std::uint16_t { inet = 2, inet6 = 10 };

class Ipv4Address {
public:
    constexpr Ipv4Address() = default;

    constexpr explicit Ipv4Address(Be32 wire) noexcept : value_{wire} {}

    constexpr explicit Ipv4Address(std::uint32_t host) noexcept : value_{host} {}

    constexpr Be32 wire() const noexcept { return value_; }

    constexpr std::uint32_t host() const noexcept { return value_.host(); }

    friend constexpr auto operator<=>(Ipv4Address, Ipv4Address) = default;

private:
    Be32 value_;
};

class Ipv6Address {
public:
    using Bytes = std::array<std::uint8_t, 16>;

    constexpr Ipv6Address() = default;

    constexpr explicit Ipv6Address(const Bytes& bytes) noexcept : bytes_{bytes} {}

    constexpr const Bytes& bytes() const noexcept { return bytes_; }

    friend constexpr auto operator<=>(const Ipv6Address&, const Ipv6Address&) = default;

private:
    Bytes bytes_{};
};

static_assert(sizeof(Ipv4Address) == 4 && sizeof(Ipv6Address) == 16);

/// 127.0.0.0/8.
constexpr bool is_loopback(Ipv4Address address) noexcept { return address.host() >> 24 == 127; }

/// ::1.
constexpr bool is_loopback(const Ipv6Address& address) noexcept {
    return address == Ipv6Address{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
}

/// 224.0.0.0/4.
constexpr bool is_multicast(Ipv4Address address) noexcept { return address.host() >> 28 == 0xE; }

/// ff00::/8.
constexpr bool is_multicast(const Ipv6Address& address) noexcept { return address.bytes()[0] == 0xFF; }

/// An address that knows its family. IPv4 occupies the first four bytes, the rest is zero, as in
/// the kernel's union nf_inet_addr.
class IpAddress {
public:
    constexpr IpAddress() = default;

    constexpr IpAddress(Ipv4Address address) noexcept  // NOLINT: lossless and intended
        : family_{Family::inet} {
        const std::uint32_t host = address.host();
        bytes_[0] = static_cast<std::uint8_t>(host >> 24);
        bytes_[1] = static_cast<std::uint8_t>(host >> 16);
        bytes_[2] = static_cast<std::uint8_t>(host >> 8);
        bytes_[3] = static_cast<std::uint8_t>(host);
    }

    constexpr IpAddress(const Ipv6Address& address) noexcept  // NOLINT: lossless and intended
        : family_{Family::inet6},
          bytes_{address.bytes()} {}

    constexpr Family family() const noexcept { return family_; }

    constexpr bool is_v4() const noexcept { return family_ == Family::inet; }

    constexpr bool is_v6() const noexcept { return family_ == Family::inet6; }

    /// All zero: 0.0.0.0 or ::.
    constexpr bool is_any() const noexcept { return bytes_ == Ipv6Address::Bytes{}; }

    /// Meaningful only for is_v4(); otherwise the first four bytes.
    constexpr Ipv4Address v4() const noexcept {
        return Ipv4Address{
            (std::uint32_t{bytes_[0]} << 24) | (std::uint32_t{bytes_[1]} << 16) |
            (std::uint32_t{bytes_[2]} << 8) | std::uint32_t{bytes_[3]}
        };
    }

    constexpr Ipv6Address v6() const noexcept { return Ipv6Address{bytes_}; }

    /// 16 bytes, zero-filled after an IPv4 address.
    constexpr const Ipv6Address::Bytes& bytes() const noexcept { return bytes_; }

    constexpr unsigned bits() const noexcept { return is_v4() ? 32 : 128; }

    friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;

private:
    Family family_ = Family::inet;
    Ipv6Address::Bytes bytes_{};
};

/// inet_ntop form.
std::string print(Ipv4Address address);
std::string print(const Ipv6Address& address);
std::string print(const IpAddress& address);

/// inet_pton form, either family; empty when `text` is neither.
std::optional<IpAddress> parse_ip_address(std::string_view text);

/// For constants and tests: "10.0.0.1"_ip. Terminates on a malformed literal.
IpAddress operator""_ip(const char* text, std::size_t size);

}  // namespace nlvs::net
