#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace nlvs::test {

/// Bytes from hex digits. White space is free, "//" starts a comment to the end of the line, so
/// that a test writes one field per line with its name.
inline std::vector<std::byte> hex(std::string_view text) {
    const auto digit = [](char c) {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        throw std::invalid_argument{std::string{"not a hex digit: "} + c};
    };
    std::vector<std::byte> bytes;
    int high = -1;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (text.substr(i).starts_with("//")) {
            while (i < text.size() && text[i] != '\n') ++i;
        } else if (c != ' ' && c != '\n' && c != '\t') {
            if (high < 0) {
                high = digit(c);
            } else {
                bytes.push_back(static_cast<std::byte>(high * 16 + digit(c)));
                high = -1;
            }
        }
    }
    if (high >= 0) throw std::invalid_argument{"odd number of hex digits"};
    return bytes;
}

/// Lower-case digits without separators, the form in which tests compare bytes.
inline std::string to_hex(std::span<const std::byte> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const std::byte byte : bytes) {
        text.push_back(digits[std::to_integer<std::size_t>(byte >> 4)]);
        text.push_back(digits[std::to_integer<std::size_t>(byte & std::byte{15})]);
    }
    return text;
}

}  // namespace nlvs::test
