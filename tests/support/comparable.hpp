#pragma once

#include <algorithm>
#include <cstddef>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/packet_layers.hpp"

/// Packets of a recorded kernel and of nlvs, made comparable.
namespace nlvs::test {

inline void clear(Bytes& bytes, std::size_t at, std::size_t count) {
    for (std::size_t i = at; i < std::min(at + count, bytes.size()); ++i) bytes[i] = std::byte{0};
}

inline std::size_t number(const Bytes& bytes, std::size_t at) {
    return at < bytes.size() ? std::to_integer<std::size_t>(bytes[at]) : 0;
}

/// Takes out what cannot be the same twice, on the kernel neither:
///   identification of IPv4 packets that the director makes (errors, tunnel headers), which Linux
///     draws, and the header checksum with it;
///   flow label of IPv6 packets that the director makes, a hash with a secret of Linux;
///   identification of IPv6 fragments, which is to be unpredictable;
///   UDP source port of GUE, a hash of the flow inside, and the UDP checksum with it.
/// The director is 192.168.1.1 towards its servers.
inline Bytes comparable(Bytes packet) {
    const bool v4 = number(packet, 0) >> 4 == 4;
    const std::size_t protocol = v4 ? number(packet, 9) : number(packet, 6);
    // The first piece of a cut tunnel packet has a fragment header between.
    const bool first_piece = !v4 && protocol == 44 && number(packet, 42) == 0 &&
                             (number(packet, 43) & 0xF8) == 0;
    const std::size_t udp = v4 ? 20 : first_piece ? 48 : 40;
    const bool gue = (protocol == 17 || (first_piece && number(packet, 40) == 17)) &&
                     number(packet, udp + 2) == 6080 >> 8 && number(packet, udp + 3) == (6080 & 0xFF);
    const bool tunnel = protocol == 4 || protocol == 41 || protocol == 47 || gue;
    if (v4) {
        const bool error_of_director = protocol == 1 && (number(packet, 1) & 0xC0) == 0xC0;
        // A later fragment of a tunnel packet has no UDP header, but the director's address.
        const Bytes own{std::byte{192}, std::byte{168}, std::byte{1}, std::byte{1}};
        const bool of_director =
            packet.size() >= 16 && std::equal(own.begin(), own.end(), packet.begin() + 12);
        if (tunnel || of_director || error_of_director) {
            clear(packet, 4, 2);
            clear(packet, 10, 2);
        }
    } else {
        constexpr std::size_t fragment = 44;
        if (tunnel || protocol == 58) {
            packet[1] &= std::byte{0xF0};
            clear(packet, 2, 2);
        }
        if (protocol == fragment) {
            packet[1] &= std::byte{0xF0};
            clear(packet, 2, 2);
            clear(packet, 44, 4);
        }
        // The checksum of ICMPv6 does not cover the flow label.
    }
    if (gue) {
        clear(packet, udp, 2);
        const std::size_t sum = udp + 6;
        if (number(packet, sum) + number(packet, sum + 1) != 0) {
            packet[sum] = packet[sum + 1] = std::byte{0xFF};
        }
    }
    return packet;
}

inline std::string hex(const Bytes& bytes) {
    std::ostringstream out;
    out << std::hex;
    for (std::size_t i = 0; i < std::min<std::size_t>(bytes.size(), 96); ++i) {
        out << (number(bytes, i) < 16 ? "0" : "") << number(bytes, i);
    }
    out << std::dec << " (" << bytes.size() << ')';
    return out.str();
}

/// Octets in hexadecimal; xx+N: xx and N octets that each are one more than the one before.
inline Bytes recorded_octets(std::istream& words) {
    Bytes bytes;
    std::string word;
    while (words >> word) {
        const auto plus = word.find('+');
        const std::string digits = word.substr(0, plus);
        for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
            bytes.push_back(static_cast<std::byte>(std::stoi(digits.substr(i, 2), nullptr, 16)));
        }
        if (plus == std::string::npos) continue;
        for (int left = std::stoi(word.substr(plus + 1)); left > 0; --left) {
            bytes.push_back(static_cast<std::byte>(std::to_integer<int>(bytes.back()) + 1));
        }
    }
    return bytes;
}

/// What one of the two sent and the other did not, in words.
inline std::vector<std::string> differences(std::vector<Bytes> sent, std::vector<Bytes> recorded) {
    std::ranges::sort(sent);
    std::ranges::sort(recorded);
    std::vector<Bytes> missing, surplus;
    std::ranges::set_difference(recorded, sent, std::back_inserter(missing));
    std::ranges::set_difference(sent, recorded, std::back_inserter(surplus));
    std::vector<std::string> words;
    for (const Bytes& packet : missing) words.push_back("only the kernel sent " + hex(packet));
    for (const Bytes& packet : surplus) words.push_back("only nlvs sent      " + hex(packet));
    return words;
}

}  // namespace nlvs::test
