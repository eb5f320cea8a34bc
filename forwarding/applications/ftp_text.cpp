#include "forwarding/applications/ftp_text.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace nlvs::forwarding {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

char upper(char c) noexcept { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

/// `word` is in upper case.
bool begins(std::string_view text, std::string_view word) noexcept {
    return text.size() >= word.size() &&
           std::equal(word.begin(), word.end(), text.begin(), [](char a, char b) {
               return a == upper(b);
           });
}

/// A text and how far it has been read. A read that fails leaves it of no use.
class Reader {
public:
    Reader(std::string_view text, std::size_t from) noexcept : text_{text}, at_{from} {}

    std::size_t position() const noexcept { return at_; }

    bool at_end() const noexcept { return at_ >= text_.size(); }

    char peek() const noexcept { return text_[at_]; }

    bool take(char wanted) noexcept {
        if (at_end() || peek() != wanted) return false;
        ++at_;
        return true;
    }

    /// Behind the first run of `mark`, or in front of the first digit before it if `digits` is set.
    bool skip_to(char mark, bool digits) noexcept {
        for (; !at_end(); ++at_) {
            if (digits && is_digit(peek())) return true;
            if (peek() != mark) continue;
            while (take(mark)) {
            }
            return !at_end();
        }
        return false;
    }

    /// A number that something follows.
    std::optional<std::uint32_t> number(std::uint32_t most) noexcept {
        std::uint32_t value = 0;
        const char* end = text_.data() + text_.size();
        const auto result = std::from_chars(text_.data() + at_, end, value);
        if (result.ec != std::errc{} || result.ptr == end || value > most) return std::nullopt;
        at_ = static_cast<std::size_t>(result.ptr - text_.data());
        return value;
    }

    std::optional<net::IpAddress> address(net::Family family, char delimiter) noexcept {
        const std::size_t end = text_.find(delimiter, at_);
        std::array<char, INET6_ADDRSTRLEN> terminated{};
        if (end == std::string_view::npos || end - at_ >= terminated.size()) return std::nullopt;
        std::memcpy(terminated.data(), text_.data() + at_, end - at_);
        at_ = end;
        if (family == net::Family::inet) {
            std::uint32_t wire = 0;
            if (inet_pton(AF_INET, terminated.data(), &wire) != 1) return std::nullopt;
            return net::Ipv4Address{net::Be32::from_wire(wire)};
        }
        net::Ipv6Address::Bytes bytes;
        if (inet_pton(AF_INET6, terminated.data(), bytes.data()) != 1) return std::nullopt;
        return net::Ipv6Address{bytes};
    }

private:
    std::string_view text_;
    std::size_t at_;
};

/// "h1,h2,h3,h4,p1,p2".
std::optional<FtpEndpoint> read_numbers(Reader& reader) noexcept {
    std::array<std::uint32_t, 6> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i > 0 && !reader.take(',')) return std::nullopt;
        const auto byte = reader.number(255);
        if (!byte) return std::nullopt;
        bytes[i] = *byte;
    }
    const net::Ipv4Address address{bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3]};
    return FtpEndpoint{address, net::Port{static_cast<std::uint16_t>(bytes[4] << 8 | bytes[5])}};
}

/// "|2|address|port|" with any delimiter; family and address may be absent together when there is
/// an address to go without.
std::optional<FtpEndpoint> read_extended(
    Reader& reader, net::Family family, const net::IpAddress* absent
) noexcept {
    if (reader.at_end()) return std::nullopt;
    const char delimiter = reader.peek();
    if (delimiter < 33 || delimiter > 126) return std::nullopt;
    reader.take(delimiter);
    FtpEndpoint endpoint;
    if (reader.take(delimiter)) {
        if (absent == nullptr || !reader.take(delimiter)) return std::nullopt;
        endpoint.address = *absent;
    } else {
        if (!reader.take(family == net::Family::inet ? '1' : '2') || !reader.take(delimiter)) {
            return std::nullopt;
        }
        const auto address = reader.address(family, delimiter);
        if (!address || !reader.take(delimiter)) return std::nullopt;
        endpoint.address = *address;
    }
    const auto port = reader.number(65535);
    if (!port || *port == 0 || !reader.take(delimiter)) return std::nullopt;
    endpoint.port = net::Port{static_cast<std::uint16_t>(*port)};
    return endpoint;
}

/// PASV or EPSV at the start of `text`.
FtpMode read_passive(std::string_view text, net::Family family) noexcept {
    const bool v4 = family == net::Family::inet;
    if (v4 && begins(text, "PASV\r\n")) return FtpMode::passive;
    if (begins(text, "EPSV\r")) return FtpMode::extended_passive;
    const bool own = begins(text, v4 ? "EPSV 1\r" : "EPSV 2\r");
    return own ? FtpMode::extended_passive : FtpMode::unknown;
}

}  // namespace

FtpRequest read_ftp_request(std::string_view text, net::Family family) noexcept {
    constexpr std::size_t shortest = 6;
    for (std::size_t at = 0; at + shortest <= text.size(); ++at) {
        // Few letters begin a word that matters.
        const char first = upper(text[at]);
        if (first != 'P' && first != 'E') continue;
        const FtpMode mode = read_passive(text.substr(at), family);
        if (mode != FtpMode::unknown) return {mode, {}};
    }
    constexpr std::size_t word = 4;
    Reader reader{text, word};
    std::optional<FtpEndpoint> client;
    if (family == net::Family::inet && begins(text, "PORT")) {
        if (reader.skip_to(' ', true)) client = read_numbers(reader);
    } else if (begins(text, "EPRT")) {
        if (reader.skip_to(' ', false)) client = read_extended(reader, family, nullptr);
    }
    if (!client) return {};
    return {FtpMode::active, *client};
}

std::optional<FtpReply> read_ftp_reply(
    std::string_view text, FtpMode mode, const net::IpAddress& server
) noexcept {
    constexpr std::string_view passive = "227 ";
    constexpr std::string_view extended = "229 ";
    if (mode != FtpMode::passive && mode != FtpMode::extended_passive) return std::nullopt;
    const bool numbers = mode == FtpMode::passive;
    if (!text.starts_with(numbers ? passive : extended)) return std::nullopt;
    Reader reader{text, passive.size()};
    if (!reader.skip_to('(', numbers)) return std::nullopt;
    FtpReply reply;
    reply.begin = reader.position();
    const auto endpoint =
        numbers ? read_numbers(reader) : read_extended(reader, server.family(), &server);
    if (!endpoint) return std::nullopt;
    reply.server = *endpoint;
    reply.end = reader.position();
    return reply;
}

std::size_t print_ftp_endpoint(
    FtpMode mode, const FtpEndpoint& endpoint, std::span<char, ftp_endpoint_length> to
) noexcept {
    char* at = to.data();
    char* const end = to.data() + to.size();
    const auto number = [&](unsigned value) { at = std::to_chars(at, end, value).ptr; };
    const std::uint16_t port = endpoint.port.host();
    if (mode == FtpMode::passive) {
        for (std::size_t i = 0; i < 4; ++i) {
            number(endpoint.address.bytes()[i]);
            *at++ = ',';
        }
        number(port >> 8);
        *at++ = ',';
        number(port & 0xFFU);
    } else {
        for (int i = 0; i < 3; ++i) *at++ = '|';
        number(port);
        *at++ = '|';
    }
    return static_cast<std::size_t>(at - to.data());
}

}  // namespace nlvs::forwarding
