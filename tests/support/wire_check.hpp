#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/support/packet_layers.hpp"

/// Is a frame what a receiver would take? Textbook reading of every length and checksum from the
/// Ethernet header to the innermost packet, by code that shares nothing with the data path.
///
/// Fragments are put together: a datagram is judged when its last piece has come.
namespace nlvs::test {

class WireCheck {
public:
    enum class Verdict {
        good,
        bad,            ///< a length or checksum is wrong
        contradictory,  ///< a piece of a datagram that does not fit the others
        unknown,        ///< a piece that fits, or nothing that has a checksum
    };

    Verdict frame(std::span<const std::byte> bytes) {
        std::size_t at = 12;
        std::uint16_t type = 0;
        for (;; at += 4) {
            if (bytes.size() < at + 2) return Verdict::bad;
            type = be16(bytes, at);
            if (type != 0x8100 && type != 0x88A8) break;
        }
        return network(type, bytes.subspan(at + 2), 0);
    }

private:
    static constexpr int deepest = 4;

    static std::uint8_t octet(std::span<const std::byte> bytes, std::size_t at) {
        return std::to_integer<std::uint8_t>(bytes[at]);
    }

    static std::uint16_t be16(std::span<const std::byte> bytes, std::size_t at) {
        return static_cast<std::uint16_t>(octet(bytes, at) << 8 | octet(bytes, at + 1));
    }

    Verdict network(std::uint16_t type, std::span<const std::byte> packet, int depth) {
        if (depth == deepest) return Verdict::unknown;
        if (type == 0x0800) return ipv4(packet, depth);
        if (type == 0x86DD) return ipv6(packet, depth);
        return Verdict::unknown;
    }

    Verdict ipv4(std::span<const std::byte> packet, int depth) {
        if (packet.size() < 20 || octet(packet, 0) >> 4 != 4) return Verdict::bad;
        const std::size_t header = (octet(packet, 0) & 15U) * 4;
        const std::size_t total = be16(packet, 2);
        if (header < 20 || total < header || total > packet.size()) return Verdict::bad;
        if (builder::internet_checksum(packet.first(header)) != 0) return Verdict::bad;
        const Transport transport{
            octet(packet, 9), packet.subspan(12, 8), packet.subspan(header, total - header)
        };
        const std::uint16_t word = be16(packet, 6);
        if ((word & 0x3FFF) == 0) return judge(transport, depth);
        return piece(
            transport, be16(packet, 4), (word & 0x1FFFU) * 8, (word & 0x2000) != 0, depth
        );
    }

    Verdict ipv6(std::span<const std::byte> packet, int depth) {
        if (packet.size() < 40 || octet(packet, 0) >> 4 != 6) return Verdict::bad;
        const std::size_t total = 40U + be16(packet, 4);
        if (total > packet.size()) return Verdict::bad;
        std::uint8_t next = octet(packet, 6);
        const auto addresses = packet.subspan(8, 32);
        auto rest = packet.subspan(40, total - 40);
        while (next == 0 || next == 43 || next == 60 || next == 51 || next == 44) {
            if (rest.size() < 8) return Verdict::bad;
            const std::uint8_t after = octet(rest, 0);
            std::size_t length = 8;
            if (next == 44) {
                const std::uint16_t word = be16(rest, 2);
                const auto id = std::uint32_t{be16(rest, 4)} << 16 | be16(rest, 6);
                if ((word & 0xFFF9) != 0) {
                    const Transport part{after, addresses, rest.subspan(8)};
                    return piece(part, id, word & 0xFFF8U, (word & 1) != 0, depth);
                }
            } else {
                length = next == 51 ? (octet(rest, 1) + 2U) * 4 : (octet(rest, 1) + 1U) * 8;
            }
            if (rest.size() < length) return Verdict::bad;
            next = after;
            rest = rest.subspan(length);
        }
        return judge({next, addresses, rest}, depth);
    }

    struct Transport {
        std::uint8_t protocol;
        std::span<const std::byte> addresses;  ///< both, of the pseudo header
        std::span<const std::byte> bytes;
    };

    Verdict judge(const Transport& transport, int depth) {
        const auto& bytes = transport.bytes;
        switch (transport.protocol) {
            case 1: return icmp(bytes, depth, builder::internet_checksum(bytes) == 0, 3, 12);
            case 58: return icmp(bytes, depth, with_pseudo_header(transport, bytes) == 0, 1, 4);
            case 4: return network(0x0800, bytes, depth + 1);
            case 41: return network(0x86DD, bytes, depth + 1);
            case 6: {
                if (bytes.size() < 20) return Verdict::bad;
                const std::size_t header = (octet(bytes, 12) >> 4) * 4U;
                if (header < 20 || header > bytes.size()) return Verdict::bad;
                return verdict(with_pseudo_header(transport, bytes) == 0);
            }
            case 17: return udp(transport, depth);
            case 47: return gre(bytes, depth);
            case 132: return sctp(bytes);
            default: return Verdict::unknown;
        }
    }

    static Verdict verdict(bool good) { return good ? Verdict::good : Verdict::bad; }

    static std::uint16_t with_pseudo_header(
        const Transport& transport, std::span<const std::byte> bytes
    ) {
        Bytes all(transport.addresses.begin(), transport.addresses.end());
        const std::size_t at = all.size();
        all.resize(at + 8);
        builder::set32(all, at, static_cast<std::uint32_t>(bytes.size()));
        all[at + 7] = std::byte{transport.protocol};
        all.insert(all.end(), bytes.begin(), bytes.end());
        return builder::internet_checksum(all);
    }

    Verdict udp(const Transport& transport, int depth) {
        const auto& bytes = transport.bytes;
        if (bytes.size() < 8) return Verdict::bad;
        const std::size_t length = be16(bytes, 4);
        if (length < 8 || length > bytes.size()) return Verdict::bad;
        const auto datagram = bytes.first(length);
        if (be16(bytes, 6) != 0 && with_pseudo_header(transport, datagram) != 0) {
            return Verdict::bad;
        }
        constexpr std::uint16_t gue = 6080;
        if (be16(bytes, 2) != gue || length < 12) return Verdict::good;
        // GUE, variant 0: header length in words, then the inner protocol.
        const std::size_t header = 12 + (octet(bytes, 8) & 31U) * 4;
        if (octet(bytes, 8) >> 5 != 0 || length < header) return Verdict::good;
        return judge({octet(bytes, 9), {}, datagram.subspan(header)}, depth + 1);
    }

    Verdict gre(std::span<const std::byte> bytes, int depth) {
        if (bytes.size() < 4) return Verdict::bad;
        const bool summed = (octet(bytes, 0) & 0x80) != 0;
        const std::size_t header = summed ? 8 : 4;
        if (bytes.size() < header) return Verdict::bad;
        if (summed && builder::internet_checksum(bytes) != 0) return Verdict::bad;
        return network(be16(bytes, 2), bytes.subspan(header), depth + 1);
    }

    static Verdict sctp(std::span<const std::byte> bytes) {
        if (bytes.size() < 16) return Verdict::bad;
        Bytes copy(bytes.begin(), bytes.end());
        std::uint32_t is = 0;
        for (std::size_t i = 4; i-- > 0;) is = is << 8 | octet(bytes, 8 + i);
        builder::set32(copy, 8, 0);
        return verdict(builder::crc32c(copy) == is);
    }

    /// Of what an error is about only the IP header can be judged: the rest is cut anywhere.
    Verdict icmp(
        std::span<const std::byte> bytes, int depth, bool good, std::uint8_t first, std::uint8_t last
    ) {
        if (bytes.size() < 8 || !good) return Verdict::bad;
        const std::uint8_t type = octet(bytes, 0);
        const bool error = first == 1 ? type >= first && type <= last
                                      : type == 3 || type == 4 || type == 5 || type == 11 || type == last;
        if (!error || depth == deepest) return Verdict::good;
        const auto inner = bytes.subspan(8);
        if (inner.size() < 20 || octet(inner, 0) >> 4 != 4) return Verdict::good;
        const std::size_t header = (octet(inner, 0) & 15U) * 4;
        if (header < 20 || header > inner.size()) return Verdict::good;
        return verdict(builder::internet_checksum(inner.first(header)) == 0);
    }

    struct Datagram {
        Bytes addresses;
        std::map<std::size_t, Bytes> parts;
        std::optional<std::size_t> size;
    };

    using Key = std::tuple<Bytes, std::uint8_t, std::uint32_t>;

    Verdict forget(const Key& key) {
        pieces_.erase(key);
        return Verdict::contradictory;
    }

    Verdict piece(
        const Transport& part, std::uint32_t id, std::size_t offset, bool more, int depth
    ) {
        const Key key{Bytes(part.addresses.begin(), part.addresses.end()), part.protocol, id};
        Datagram& datagram = pieces_[key];
        datagram.addresses = std::get<0>(key);
        if (more && part.bytes.size() % 8 != 0) return forget(key);
        if (!datagram.parts.try_emplace(offset, part.bytes.begin(), part.bytes.end()).second) {
            return forget(key);
        }
        if (!more) {
            if (datagram.size) return forget(key);
            datagram.size = offset + part.bytes.size();
        }
        if (!datagram.size) return Verdict::unknown;
        Bytes whole;
        for (const auto& [at, bytes] : datagram.parts) {
            if (at < whole.size()) return forget(key);
            if (at > whole.size()) return Verdict::unknown;
            whole.insert(whole.end(), bytes.begin(), bytes.end());
        }
        if (whole.size() > *datagram.size) return forget(key);
        if (whole.size() < *datagram.size) return Verdict::unknown;
        const Bytes addresses = std::move(datagram.addresses);
        pieces_.erase(key);
        return fragment_payload(part.protocol, addresses, whole, depth);
    }

    /// Behind an IPv6 fragment header more extension headers may follow.
    Verdict fragment_payload(
        std::uint8_t next, std::span<const std::byte> addresses, std::span<const std::byte> rest,
        int depth
    ) {
        while (addresses.size() == 32 && (next == 0 || next == 43 || next == 60 || next == 51)) {
            if (rest.size() < 8) return Verdict::bad;
            const std::size_t length =
                next == 51 ? (octet(rest, 1) + 2U) * 4 : (octet(rest, 1) + 1U) * 8;
            if (rest.size() < length) return Verdict::bad;
            next = octet(rest, 0);
            rest = rest.subspan(length);
        }
        return judge({next, addresses, rest}, depth);
    }

    std::map<Key, Datagram> pieces_;
};

}  // namespace nlvs::test
