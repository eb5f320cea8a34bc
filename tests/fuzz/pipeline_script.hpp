#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/packet_builder.hpp"

namespace nlvs::test {

/// The fuzzer's bytes, taken from the front; zeroes when there are none left.
class Script {
public:
    explicit Script(std::span<const std::byte> bytes) : rest_{bytes} {}

    bool empty() const noexcept { return rest_.empty(); }

    std::uint8_t octet() noexcept {
        if (rest_.empty()) return 0;
        const auto value = std::to_integer<std::uint8_t>(rest_.front());
        rest_ = rest_.subspan(1);
        return value;
    }

    std::uint16_t word() noexcept {
        const auto high = octet();
        return static_cast<std::uint16_t>(high << 8 | octet());
    }

    Bytes take(std::size_t count) {
        const auto part = rest_.first(std::min(count, rest_.size()));
        rest_ = rest_.subspan(part.size());
        return {part.begin(), part.end()};
    }

private:
    std::span<const std::byte> rest_;
};

/// Packets of a small world, where they meet: a handful of clients, ports and servers.
class PacketMaker {
public:
    /// The next packet of `script`, from its IP header on.
    Bytes make(Script& script) {
        const std::uint8_t shape = script.octet();
        const std::uint8_t choice = script.octet();
        const std::uint8_t detail = script.octet();
        const std::uint8_t special = script.octet();
        const bool v4 = (shape & 1) == 0;
        const bool from_server = (shape & 2) != 0;
        const auto client = address(v4, false, static_cast<std::uint8_t>(100 + (shape >> 6)));
        const auto server = address(v4, true, static_cast<std::uint8_t>(2 + (choice >> 6)));
        const auto service = address(v4, false, (choice & 0x20) != 0 ? 11 : 10);
        const auto port = static_cast<std::uint16_t>(4000 + (choice >> 3 & 3));
        const std::uint16_t to = ports[choice & 7];
        const Transport transport{
            static_cast<std::uint8_t>(shape >> 2 & 15), from_server ? to : port,
            from_server ? port : to, detail, special
        };
        const std::size_t size = std::size_t{script.octet()} * ((special & 0x10) != 0 ? 12 : 1);
        return v4 ? v4_packet(from_server ? server : client, from_server ? client : service, transport, size)
                  : v6_packet(from_server ? server : client, from_server ? client : service, transport, size);
    }

    static constexpr std::uint16_t ports[]{80, 8000, 53, 5060, 21, 443, 3868, 20};

    static net::IpAddress address(bool v4, bool server, std::uint8_t last) {
        auto base = *net::parse_ip_address(
            v4 ? (server ? "192.168.1.0" : "10.0.0.0") : (server ? "2001:db8:1::" : "2001:db8::")
        );
        if (v4) return net::Ipv4Address{base.v4().host() | last};
        auto bytes = base.v6().bytes();
        bytes[15] = last;
        return net::Ipv6Address{bytes};
    }

private:
    struct Transport {
        std::uint8_t kind;
        std::uint16_t source;
        std::uint16_t destination;
        std::uint8_t detail;
        std::uint8_t special;
    };

    static Layer transport_layer(const Transport& t, bool v4) {
        switch (t.kind) {
            case 0: case 1: case 2: case 3: case 4: {
                auto layer = tcp(t.source, t.destination).flags(t.detail & 0x1F);
                if ((t.detail & 0x80) != 0) layer.options(8);
                if ((t.special & 0x08) != 0) layer.checksum(0x1234);
                return layer;
            }
            case 5: case 6: case 7: case 8: {
                auto layer = udp(t.source, t.destination);
                if ((t.special & 0x08) != 0) layer.checksum(t.detail == 1 ? 0x1234 : 0);
                return layer;
            }
            case 9: case 10: return sctp(t.source, t.destination, t.detail & 15);
            case 11: return v4 ? icmp(8, 0, t.detail) : icmpv6(128, 0, t.detail);
            case 12: return raw(Bytes(8, std::byte{1}), 50);
            case 13: return authentication();
            case 14: return gre((t.detail & 1) != 0);
            default: return raw(Bytes(8, std::byte{2}), t.detail);
        }
    }

    static std::uint8_t hops(std::uint8_t special) {
        return (special & 0x07) == 1 ? 1 : (special & 0x07) == 2 ? 0 : 64;
    }

    static Layer text(const Transport& t, std::size_t size) {
        constexpr std::string_view call = "OPTIONS sip:a SIP/2.0\r\nCall-ID: call-0@host\r\n\r\n";
        if (t.source != 5060 && t.destination != 5060) return payload(size, t.detail);
        Bytes bytes(call.size());
        std::memcpy(bytes.data(), call.data(), call.size());
        bytes[call.find('0', 22)] = static_cast<std::byte>('0' + t.detail % 4);
        return raw(std::move(bytes));
    }

    Bytes v4_packet(
        const net::IpAddress& from, const net::IpAddress& to, const Transport& t, std::size_t size
    ) {
        auto header = ipv4(from, to).ttl(hops(t.special)).id(++id_).tos(t.detail);
        if ((t.special & 0x07) == 3) header.options(8);
        if ((t.special & 0x20) != 0) header.df();
        return (header / transport_layer(t, true) / text(t, size)).bytes();
    }

    Bytes v6_packet(
        const net::IpAddress& from, const net::IpAddress& to, const Transport& t, std::size_t size
    ) {
        const auto header = ipv6(from, to).hop_limit(hops(t.special)).traffic_class(t.detail);
        const Layer layer = transport_layer(t, false);
        if ((t.special & 0x07) == 3) {
            return (header / extension(60) / layer / text(t, size)).bytes();
        }
        if ((t.special & 0x07) == 4) {
            return (header / extension(0) / extension(43, 24) / layer / text(t, size)).bytes();
        }
        return (header / layer / text(t, size)).bytes();
    }

    std::uint16_t id_ = 0;
};

/// What hosts around the director make of what it sent them.
namespace answers {

inline std::uint8_t octet(const Bytes& bytes, std::size_t at) {
    return at < bytes.size() ? std::to_integer<std::uint8_t>(bytes[at]) : std::uint8_t{0};
}

/// The receiver's answer to a packet, from the IP header on: addresses and ports the other way
/// round, TCP with `flags`. Sums stay right, as only what is summed changes places.
inline Bytes answer(Bytes packet, std::uint8_t flags) {
    const bool v4 = octet(packet, 0) >> 4 == 4;
    const std::size_t from = v4 ? 12 : 8;
    const std::size_t length = v4 ? 4 : 16;
    if (packet.size() < (v4 ? 20U : 40U)) return packet;
    const auto at = packet.begin() + static_cast<std::ptrdiff_t>(from);
    const auto middle = at + static_cast<std::ptrdiff_t>(length);
    std::swap_ranges(at, middle, middle);
    packet[v4 ? 8 : 7] = std::byte{64};
    const std::size_t l4 = v4 ? (octet(packet, 0) & 15U) * 4 : 40;
    const std::uint8_t protocol = octet(packet, v4 ? 9 : 6);
    if (v4) {
        builder::set16(packet, 10, 0);
        builder::set16(
            packet, 10, builder::internet_checksum(std::span{packet}.first(std::min(l4, packet.size())))
        );
    }
    const bool has_ports = protocol == 6 || protocol == 17 || protocol == 132;
    if (!has_ports || packet.size() < l4 + 20) return packet;
    const auto ports = packet.begin() + static_cast<std::ptrdiff_t>(l4);
    std::swap_ranges(ports, ports + 2, ports + 2);
    if (protocol == 132) {
        packet[l4 + 12] = static_cast<std::byte>(flags & 15);
        builder::set32(packet, l4 + 8, 0);
        const std::uint32_t crc = builder::crc32c(std::span{packet}.subspan(l4));
        for (std::size_t i = 0; i < 4; ++i) packet[l4 + 8 + i] = static_cast<std::byte>(crc >> 8 * i);
    }
    if (protocol == 6) {
        // The checksum follows the changed flags: HC' = ~(~HC + ~m + m'), RFC 1624.
        const std::uint16_t was = static_cast<std::uint16_t>(octet(packet, l4 + 13));
        packet[l4 + 13] = std::byte{static_cast<std::uint8_t>(flags & 0x1F)};
        const auto sum = static_cast<std::uint16_t>(
            octet(packet, l4 + 16) << 8 | octet(packet, l4 + 17)
        );
        std::uint32_t next = static_cast<std::uint16_t>(~sum);
        next += static_cast<std::uint16_t>(~was);
        next += flags & 0x1FU;
        while (next > 0xFFFF) next = (next & 0xFFFF) + (next >> 16);
        builder::set16(packet, l4 + 16, static_cast<std::uint16_t>(~next));
    }
    return packet;
}

/// An error of some router or of the receiver about a packet, towards its sender.
inline Bytes error(const Bytes& packet, std::uint8_t kind, std::uint8_t quoted) {
    const bool v4 = octet(packet, 0) >> 4 == 4;
    if (packet.size() < (v4 ? 20U : 40U)) return packet;
    const auto address_at = [&](std::size_t at) {
        if (v4) {
            std::uint32_t value = 0;
            for (std::size_t i = 0; i < 4; ++i) value = value << 8 | octet(packet, at + i);
            return net::IpAddress{net::Ipv4Address{value}};
        }
        std::array<std::uint8_t, 16> bytes{};
        for (std::size_t i = 0; i < 16; ++i) bytes[i] = octet(packet, at + i);
        return net::IpAddress{net::Ipv6Address{bytes}};
    };
    const auto sender = address_at(v4 ? 12 : 8);
    const auto router = (kind & 0x80) != 0 ? address_at(v4 ? 16 : 24)
                                           : PacketMaker::address(v4, true, 254);
    Bytes quote = packet;
    quote.resize(std::min<std::size_t>(packet.size(), (v4 ? 28U : 48U) + quoted));
    static constexpr std::uint8_t types4[][2]{{3, 1}, {3, 3}, {3, 4}, {4, 0}, {11, 0}, {5, 1}, {12, 0}, {3, 13}};
    static constexpr std::uint8_t types6[][2]{{1, 0}, {1, 4}, {2, 0}, {3, 0}, {4, 0}, {1, 1}, {137, 0}, {1, 3}};
    const auto& type = (v4 ? types4 : types6)[kind & 7];
    const std::uint32_t mtu = (kind & 7) == 2 || (kind & 7) == 3 ? 1280U - (kind >> 3 & 7) * 100U : 0;
    if (v4) return (ipv4(router, sender) / icmp(type[0], type[1], mtu) / raw(std::move(quote))).bytes();
    return (ipv6(router, sender) / icmpv6(type[0], type[1], mtu) / raw(std::move(quote))).bytes();
}

/// The packet in pieces of at most `size` bytes of payload, a multiple of eight.
inline std::vector<Bytes> pieces(const Bytes& packet, std::size_t size, std::uint32_t id) {
    const bool v4 = octet(packet, 0) >> 4 == 4;
    const std::size_t header = v4 ? (octet(packet, 0) & 15U) * 4 : 40;
    std::vector<Bytes> result;
    if (packet.size() <= header) return {packet};
    for (std::size_t at = header; at < packet.size(); at += size) {
        const std::size_t count = std::min(size, packet.size() - at);
        const bool more = at + count < packet.size();
        Bytes piece(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(header));
        if (v4) {
            builder::set16(piece, 2, header + count);
            builder::set16(piece, 6, (at - header) / 8 | (more ? 0x2000U : 0U));
            builder::set16(piece, 10, 0);
            builder::set16(piece, 10, builder::internet_checksum(piece));
        } else {
            builder::set16(piece, 4, 8 + count);
            const std::byte next = piece[6];
            piece[6] = std::byte{44};
            Layer fragment = fragment6(at - header, more, id);
            fragment.header[0] = next;
            piece.insert(piece.end(), fragment.header.begin(), fragment.header.end());
        }
        const auto from = packet.begin() + static_cast<std::ptrdiff_t>(at);
        piece.insert(piece.end(), from, from + static_cast<std::ptrdiff_t>(count));
        result.push_back(std::move(piece));
    }
    return result;
}

}  // namespace answers

}  // namespace nlvs::test
