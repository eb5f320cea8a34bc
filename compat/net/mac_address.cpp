#include "compat/net/mac_address.hpp"

#include <charconv>
#include <cstdio>

namespace nlvs::net {

std::string print(const MacAddress& address) {
    std::array<char, 18> text{};
    const auto& b = address.bytes;
    std::snprintf(
        text.data(), text.size(), "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]
    );
    return text.data();
}

std::optional<MacAddress> parse_mac_address(std::string_view text) {
    constexpr std::size_t length = 17;
    if (text.size() != length) return std::nullopt;
    MacAddress result;
    for (std::size_t i = 0; i < result.bytes.size(); ++i) {
        const char* first = text.data() + i * 3;
        if (i != 0 && first[-1] != ':') return std::nullopt;
        const auto [end, error] = std::from_chars(first, first + 2, result.bytes[i], 16);
        if (error != std::errc{} || end != first + 2) return std::nullopt;
    }
    return result;
}

}  // namespace nlvs::net
