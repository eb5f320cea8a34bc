#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nlvs::net {

/// An Ethernet address, bytes in transmission order.
struct MacAddress {
    std::array<std::uint8_t, 6> bytes{};

    constexpr bool is_multicast() const noexcept { return (bytes[0] & 1) != 0; }

    friend constexpr auto operator<=>(const MacAddress&, const MacAddress&) = default;
};

static_assert(sizeof(MacAddress) == 6);

/// "02:00:00:00:00:01"; lower-case hex, colons.
std::string print(const MacAddress& address);

/// Empty unless `text` is six colon-separated hex octets.
std::optional<MacAddress> parse_mac_address(std::string_view text);

}  // namespace nlvs::net
