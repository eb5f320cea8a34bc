#include "forwarding/connections/call_id.hpp"

#include <cstddef>

namespace nlvs::forwarding {
namespace {

constexpr std::size_t longest = 255;
constexpr std::string_view line_ends = "\r\n";
constexpr std::string_view blanks = " \t";

constexpr bool is_letter(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

/// RFC 3261 25.1, word.
constexpr bool is_word(char c) noexcept {
    constexpr std::string_view others = "-.!%*_+`'~()<>:\\\"/[]?{}";
    return is_letter(c) || (c >= '0' && c <= '9') || others.find(c) != std::string_view::npos;
}

std::size_t word_length(std::string_view text) noexcept {
    std::size_t length = 0;
    while (length < text.size() && is_word(text[length])) ++length;
    return length;
}

/// callid = word [ "@" word ]; 0 when it is none.
std::size_t call_id_length(std::string_view text) noexcept {
    const std::size_t first = word_length(text);
    if (first == 0 || first == text.size() || text[first] != '@') return first;
    const std::size_t second = word_length(text.substr(first + 1));
    return second == 0 ? 0 : first + 1 + second;
}

bool begins_with(std::string_view text, std::string_view name) noexcept {
    if (text.size() < name.size()) return false;
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (lower(text[i]) != name[i]) return false;
    }
    return true;
}

/// What follows the name of the header if this line is the one.
std::string_view after_name(std::string_view line) noexcept {
    if (begins_with(line, "call-id")) return line.substr(7);
    if (line.size() > 1 && lower(line[0]) == 'i' && !is_letter(line[1])) return line.substr(1);
    return {};
}

/// Without leading blanks, also over a folded line.
std::string_view skip_blanks(std::string_view text) noexcept {
    while (!text.empty()) {
        if (blanks.find(text[0]) != std::string_view::npos) {
            text.remove_prefix(1);
            continue;
        }
        const std::size_t end = text.starts_with("\r\n") ? 2 : line_ends.contains(text[0]) ? 1 : 0;
        if (end == 0 || text.size() == end || blanks.find(text[end]) == std::string_view::npos) break;
        text.remove_prefix(end);
    }
    return text;
}

}  // namespace

std::string_view find_call_id(std::string_view message) noexcept {
    // The first line is the request or the status.
    std::size_t end = message.find_first_of(line_ends);
    while (end != std::string_view::npos) {
        message.remove_prefix(end + (message.substr(end).starts_with("\r\n") ? 2 : 1));
        std::string_view value = skip_blanks(after_name(message));
        if (!value.empty() && value[0] == ':') {
            value = skip_blanks(value.substr(1));
            const std::size_t length = call_id_length(value);
            if (length > longest || length == value.size()) return {};
            if (length != 0) {
                return line_ends.contains(value[length]) ? value.substr(0, length) : std::string_view{};
            }
        }
        end = message.find_first_of(line_ends);
    }
    return {};
}

}  // namespace nlvs::forwarding
