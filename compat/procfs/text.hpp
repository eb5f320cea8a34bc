#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace nlvs::procfs {

// The few conversions that the files of /proc/net need. Appending to one string per read keeps a
// listing of millions of lines free of allocations.

/// %<width>s, left-adjusted.
inline void append_left(std::string& out, std::string_view text, std::size_t width) {
    out += text;
    if (text.size() < width) out.append(width - text.size(), ' ');
}

inline void append_right(
    std::string& out, std::string_view text, std::size_t width, char fill = ' '
) {
    if (text.size() < width) out.append(width - text.size(), fill);
    out += text;
}

/// %d or %u without a width.
template <std::integral Integer>
void append_decimal(std::string& out, Integer value) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
    out.append(digits, end);
}

/// %-<width>d.
template <std::integral Integer>
void append_decimal_left(std::string& out, Integer value, std::size_t width) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
    append_left(out, std::string_view{digits, end}, width);
}

/// %<width>d.
template <std::integral Integer>
void append_decimal_right(std::string& out, Integer value, std::size_t width) {
    char digits[24];
    const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
    append_right(out, std::string_view{digits, end}, width);
}

/// %<width>X, filled with blanks or, as %0<width>X, with zeros.
template <std::unsigned_integral Integer>
void append_hex(std::string& out, Integer value, std::size_t width, char fill) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    char text[2 * sizeof(Integer)];
    char* const end = text + sizeof(text);
    char* begin = end;
    do {
        *--begin = digits[value & 15U];
        value = static_cast<Integer>(value >> 4U);
    } while (value != 0);
    append_right(out, std::string_view{begin, end}, width, fill);
}

}  // namespace nlvs::procfs
