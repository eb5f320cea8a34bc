#pragma once

#include "compat/net/ip_address.hpp"
#include "compat/net/mac_address.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

/// The layers of packet_builder.hpp: headers as bytes, with what a test sets in them.
namespace nlvs::test {

using Bytes = std::vector<std::byte>;

namespace builder {

inline void append(Bytes& to, std::span<const std::uint8_t> from) {
    for (const std::uint8_t byte : from) to.push_back(std::byte{byte});
}

inline void set16(Bytes& bytes, std::size_t at, std::size_t value) {
    bytes.at(at) = static_cast<std::byte>(value >> 8);
    bytes.at(at + 1) = static_cast<std::byte>(value);
}

inline void set32(Bytes& bytes, std::size_t at, std::uint32_t value) {
    set16(bytes, at, value >> 16);
    set16(bytes, at + 2, value & 0xFFFF);
}

/// Textbook sum: byte pairs in network order, carries added at the end.
inline std::uint32_t sum16(std::span<const std::byte> bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const auto byte = std::to_integer<std::uint32_t>(bytes[i]);
        sum += i % 2 == 0 ? byte << 8 : byte;
    }
    while (sum > 0xFFFF) sum = (sum & 0xFFFF) + (sum >> 16);
    return sum;
}

inline std::uint16_t internet_checksum(std::span<const std::byte> bytes) {
    return static_cast<std::uint16_t>(~sum16(bytes));
}

/// Bit by bit, reflected polynomial 0x82F63B78.
inline std::uint32_t crc32c(std::span<const std::byte> bytes) {
    std::uint32_t crc = ~0U;
    for (const std::byte byte : bytes) {
        crc ^= std::to_integer<std::uint32_t>(byte);
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    }
    return ~crc;
}

}  // namespace builder

/// One header (or a payload) and what of it is still to be filled in.
struct Layer {
    enum class Kind { ethernet, vlan, ipv4, ipv6, extension, transport, payload };

    Kind kind = Kind::payload;
    Bytes header;
    std::uint8_t protocol = 59;    ///< its number in an IP header
    std::uint16_t ether_type = 0;  ///< its number in an Ethernet header
    std::size_t checksum_at = 0;   ///< transport: 0 if none
    bool keep_length = false;
    bool keep_checksum = false;
    bool keep_protocol = false;
};

struct Ethernet : Layer {
    Ethernet(const net::MacAddress& destination, const net::MacAddress& source) {
        kind = Kind::ethernet;
        builder::append(header, destination.bytes);
        builder::append(header, source.bytes);
        header.resize(14);
    }

    Ethernet& type(std::uint16_t value) {
        builder::set16(header, 12, value);
        keep_protocol = true;
        return *this;
    }
};

inline Ethernet ethernet(
    const net::MacAddress& destination = {{0x02, 0, 0, 0, 0, 0x02}},
    const net::MacAddress& source = {{0x02, 0, 0, 0, 0, 0x01}}
) {
    return {destination, source};
}

struct Vlan : Layer {
    Vlan(std::uint16_t tci, std::uint16_t own_type) {
        kind = Kind::vlan;
        ether_type = own_type;
        header.resize(4);
        builder::set16(header, 0, tci);
    }
};

inline Vlan vlan(std::uint16_t tci, std::uint16_t own_type = 0x8100) {
    return {tci, own_type};
}

struct Ipv4 : Layer {
    Ipv4(const net::IpAddress& source, const net::IpAddress& destination) {
        kind = Kind::ipv4;
        protocol = 4;
        ether_type = 0x0800;
        header.resize(20);
        header[0] = std::byte{0x45};
        header[8] = std::byte{64};
        for (std::size_t i = 0; i < 4; ++i) {
            header[12 + i] = std::byte{source.bytes()[i]};
            header[16 + i] = std::byte{destination.bytes()[i]};
        }
    }

    Ipv4& tos(std::uint8_t value) { return byte(1, value); }

    Ipv4& ttl(std::uint8_t value) { return byte(8, value); }

    Ipv4& id(std::uint16_t value) {
        builder::set16(header, 4, value);
        return *this;
    }

    Ipv4& df() {
        header[6] |= std::byte{0x40};
        return *this;
    }

    /// Offset in bytes.
    Ipv4& fragment(std::size_t offset, bool more) {
        builder::set16(header, 6, offset / 8 | (more ? 0x2000U : 0U));
        return *this;
    }

    Ipv4& proto(std::uint8_t value) {
        keep_protocol = true;
        return byte(9, value);
    }

    Ipv4& total_length(std::uint16_t value) {
        builder::set16(header, 2, value);
        keep_length = true;
        return *this;
    }

    Ipv4& checksum(std::uint16_t value) {
        builder::set16(header, 10, value);
        keep_checksum = true;
        return *this;
    }

    /// Appends no-operation options, a multiple of four bytes.
    Ipv4& options(std::size_t length) {
        header.resize(header.size() + length, std::byte{1});
        return byte(0, static_cast<std::uint8_t>(0x40 | header.size() / 4));
    }

    Ipv4& version_and_length(std::uint8_t value) { return byte(0, value); }

private:
    Ipv4& byte(std::size_t at, std::uint8_t value) {
        header[at] = std::byte{value};
        return *this;
    }
};

inline Ipv4 ipv4(const net::IpAddress& source, const net::IpAddress& destination) {
    return {source, destination};
}

struct Ipv6 : Layer {
    Ipv6(const net::IpAddress& source, const net::IpAddress& destination) {
        kind = Kind::ipv6;
        protocol = 41;
        ether_type = 0x86DD;
        header.resize(8);
        header[0] = std::byte{0x60};
        header[7] = std::byte{64};
        builder::append(header, source.bytes());
        builder::append(header, destination.bytes());
    }

    Ipv6& hop_limit(std::uint8_t value) {
        header[7] = std::byte{value};
        return *this;
    }

    Ipv6& traffic_class(std::uint8_t value) {
        header[0] = static_cast<std::byte>(0x60 | value >> 4);
        header[1] = static_cast<std::byte>(value << 4) | (header[1] & std::byte{0x0F});
        return *this;
    }

    Ipv6& flow_label(std::uint32_t value) {
        header[1] = (header[1] & std::byte{0xF0}) | static_cast<std::byte>(value >> 16);
        builder::set16(header, 2, value & 0xFFFF);
        return *this;
    }

    Ipv6& payload_length(std::uint16_t value) {
        builder::set16(header, 4, value);
        keep_length = true;
        return *this;
    }

    Ipv6& next_header(std::uint8_t value) {
        header[6] = std::byte{value};
        keep_protocol = true;
        return *this;
    }
};

inline Ipv6 ipv6(const net::IpAddress& source, const net::IpAddress& destination) {
    return {source, destination};
}

/// An IPv6 extension header whose first byte names the next one.
struct Extension : Layer {
    Extension(std::uint8_t number, Bytes content) {
        kind = Kind::extension;
        protocol = number;
        header = std::move(content);
    }

    Extension& next_header(std::uint8_t value) {
        header[0] = std::byte{value};
        keep_protocol = true;
        return *this;
    }
};

/// Hop-by-hop (0), routing (43) or destination options (60), `length` a multiple of eight.
inline Extension extension(std::uint8_t number, std::size_t length = 8) {
    Bytes content(length);
    content[1] = static_cast<std::byte>(length / 8 - 1);
    return {number, std::move(content)};
}

/// Authentication header (51), `length` a multiple of four.
inline Extension authentication(std::size_t length = 24) {
    Bytes content(length);
    content[1] = static_cast<std::byte>(length / 4 - 2);
    return {51, std::move(content)};
}

inline Extension fragment6(std::size_t offset, bool more, std::uint32_t id = 1) {
    Bytes content(8);
    builder::set16(content, 2, offset | (more ? 1U : 0U));
    builder::set32(content, 4, id);
    return {44, std::move(content)};
}

template <class Self>
struct Transport : Layer {
    Transport(std::uint8_t number, std::size_t size, std::size_t checksum_offset) {
        this->kind = Layer::Kind::transport;
        this->protocol = number;
        this->checksum_at = checksum_offset;
        this->header.resize(size);
    }

    Self& checksum(std::uint16_t value) {
        builder::set16(this->header, this->checksum_at, value);
        this->keep_checksum = true;
        return static_cast<Self&>(*this);
    }
};

struct Tcp : Transport<Tcp> {
    Tcp(std::uint16_t source, std::uint16_t destination) : Transport{6, 20, 16} {
        builder::set16(header, 0, source);
        builder::set16(header, 2, destination);
        header[12] = std::byte{0x50};
        builder::set16(header, 14, 64240);
    }

    Tcp& flags(std::uint8_t value) {
        header[13] |= std::byte{value};
        return *this;
    }

    Tcp& fin() { return flags(0x01); }

    Tcp& syn() { return flags(0x02); }

    Tcp& rst() { return flags(0x04); }

    Tcp& ack() { return flags(0x10); }

    Tcp& sequence(std::uint32_t value) {
        builder::set32(header, 4, value);
        return *this;
    }

    Tcp& data_offset(std::uint8_t words) {
        header[12] = static_cast<std::byte>(words << 4);
        return *this;
    }

    /// Appends no-operation options, a multiple of four bytes.
    Tcp& options(std::size_t length) {
        header.resize(header.size() + length, std::byte{1});
        return data_offset(static_cast<std::uint8_t>(header.size() / 4));
    }
};

inline Tcp tcp(std::uint16_t source, std::uint16_t destination) {
    return {source, destination};
}

struct Udp : Transport<Udp> {
    Udp(std::uint16_t source, std::uint16_t destination) : Transport{17, 8, 6} {
        builder::set16(header, 0, source);
        builder::set16(header, 2, destination);
    }

    Udp& length(std::uint16_t value) {
        builder::set16(header, 4, value);
        keep_length = true;
        return *this;
    }
};

inline Udp udp(std::uint16_t source, std::uint16_t destination) {
    return {source, destination};
}

/// A common header with one chunk header of `chunk_type`.
struct Sctp : Transport<Sctp> {
    Sctp(std::uint16_t source, std::uint16_t destination, std::uint8_t chunk_type)
        : Transport{132, 16, 8} {
        builder::set16(header, 0, source);
        builder::set16(header, 2, destination);
        builder::set32(header, 4, 0x01020304);
        header[12] = std::byte{chunk_type};
        header[15] = std::byte{4};
    }
};

inline Sctp sctp(std::uint16_t source, std::uint16_t destination, std::uint8_t chunk_type = 1) {
    return {source, destination, chunk_type};
}

struct Icmp : Transport<Icmp> {
    Icmp(std::uint8_t number, std::uint8_t type, std::uint8_t code, std::uint32_t rest)
        : Transport{number, 8, 2} {
        header[0] = std::byte{type};
        header[1] = std::byte{code};
        builder::set32(header, 4, rest);
    }
};

inline Icmp icmp(std::uint8_t type, std::uint8_t code, std::uint32_t rest = 0) {
    return {1, type, code, rest};
}

inline Icmp icmpv6(std::uint8_t type, std::uint8_t code, std::uint32_t rest = 0) {
    return {58, type, code, rest};
}

struct Gre : Layer {
    explicit Gre(bool with_checksum) {
        kind = Kind::transport;
        protocol = 47;
        header.resize(with_checksum ? 8 : 4);
        if (with_checksum) header[0] = std::byte{0x80};
        checksum_at = with_checksum ? 4 : 0;
    }
};

inline Gre gre(bool with_checksum = false) {
    return Gre{with_checksum};
}

inline Layer raw(Bytes bytes, std::uint8_t protocol = 59) {
    Layer layer;
    layer.header = std::move(bytes);
    layer.protocol = protocol;
    return layer;
}

/// `size` bytes 0, 1, 2, …
inline Layer payload(std::size_t size, std::uint8_t first = 0) {
    Bytes bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(first + i);
    return raw(std::move(bytes));
}

}  // namespace nlvs::test
