#pragma once

#include <rte_ip.h>
#include <rte_mbuf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "compat/net/bytes.hpp"
#include "compat/net/ip_address.hpp"
#include "forwarding/packet/parsed.hpp"

namespace nlvs::bench {

inline constexpr std::uint16_t ports_per_client = 60000;

inline net::IpAddress address(bool ipv6, std::uint32_t low) {
    if (!ipv6) return net::Ipv4Address{low};
    net::Ipv6Address::Bytes bytes{0x20, 0x01, 0x0d, 0xb8};
    net::store(reinterpret_cast<std::byte*>(bytes.data() + 12), net::Be32{low});
    return net::Ipv6Address{bytes};
}

/// Writes packets of numbered clients, and their servers' answers, into buffers: 60 bytes for
/// IPv4, 80 for IPv6.
class Client {
public:
    Client(bool ipv6, std::uint8_t protocol, const net::IpAddress& virtual_address)
        : ipv6_{ipv6}, l3_length_{ipv6 ? std::size_t{40} : 20} {
        const bool tcp = protocol == 6;
        const std::size_t l4 = tcp ? 20 : 8;
        frame_.resize(14 + l3_length_ + 26);
        const auto length = static_cast<std::uint16_t>(26);
        std::byte* at = frame_.data();
        net::store(at + 12, net::Be16{ipv6 ? std::uint16_t{0x86DD} : std::uint16_t{0x0800}});
        if (ipv6) {
            net::store(at + 14, net::Be32{0x60000000});
            net::store(at + 18, net::Be16{length});
            at[20] = std::byte{protocol};
            at[21] = std::byte{64};
        } else {
            at[14] = std::byte{0x45};
            net::store(at + 16, net::Be16{static_cast<std::uint16_t>(20 + length)});
            at[22] = std::byte{64};
            at[23] = std::byte{protocol};
        }
        std::memcpy(at + destination(), virtual_address.bytes().data(), address_length());
        net::store(at + ports() + 2, net::Be16{std::uint16_t{53}});
        if (tcp) {
            at[ports() + 12] = std::byte{static_cast<std::uint8_t>(l4 << 2)};
            net::store(at + ports() + 16, net::Be16{std::uint16_t{0xBEEF}});
        } else {
            net::store(at + ports() + 4, net::Be16{length});
            net::store(at + ports() + 6, net::Be16{std::uint16_t{0xBEEF}});
        }
    }

    /// From the client to the service.
    void write(rte_mbuf* packet, std::uint32_t number, std::uint8_t tcp_flags = 0) const noexcept {
        std::byte* at = start(packet);
        const net::Be32 client{0x0B000000 + number / ports_per_client};
        const net::Be16 port{static_cast<std::uint16_t>(1024 + number % ports_per_client)};
        if (ipv6_) {
            net::store(at + 22, net::Be32{0x20010DB8});
            net::store(at + 34, client);
        } else {
            net::store(at + 26, client);
        }
        net::store(at + ports(), port);
        finish(at, tcp_flags);
    }

    /// From real server `server` (as in Director) to the client.
    void write_reply(
        rte_mbuf* packet, std::uint32_t number, std::uint32_t server, std::uint8_t tcp_flags = 0
    ) const noexcept {
        write(packet, number, tcp_flags);
        auto* at = rte_pktmbuf_mtod(packet, std::byte*);
        std::array<std::byte, 16> client{};
        std::memcpy(client.data(), at + source(), address_length());
        const auto port = net::load<net::Be16>(at + ports());
        const net::IpAddress from = address(ipv6_, 0x0A010001 + server);
        std::memcpy(at + source(), from.bytes().data(), address_length());
        std::memcpy(at + destination(), client.data(), address_length());
        net::store(at + ports(), net::Be16{std::uint16_t{53}});
        net::store(at + ports() + 2, port);
        finish(at, tcp_flags);
    }

    /// Which real server a forwarded packet went to.
    std::uint32_t server_of(rte_mbuf* packet) const noexcept {
        const auto* at = rte_pktmbuf_mtod(packet, const std::byte*);
        const std::size_t low = destination() + address_length() - 4;
        return net::load<net::Be32>(at + low).host() - 0x0A010001;
    }

private:
    std::size_t address_length() const noexcept { return ipv6_ ? 16 : 4; }

    std::size_t source() const noexcept { return ipv6_ ? 22 : 26; }

    std::size_t destination() const noexcept { return source() + address_length(); }

    std::size_t ports() const noexcept { return 14 + l3_length_; }

    std::byte* start(rte_mbuf* packet) const noexcept {
        packet->data_off = RTE_PKTMBUF_HEADROOM;
        packet->data_len = static_cast<std::uint16_t>(frame_.size());
        packet->pkt_len = static_cast<std::uint32_t>(frame_.size());
        auto* at = rte_pktmbuf_mtod(packet, std::byte*);
        std::memcpy(at, frame_.data(), frame_.size());
        return at;
    }

    void finish(std::byte* at, std::uint8_t tcp_flags) const noexcept {
        if (tcp_flags != 0) at[ports() + 13] = std::byte{tcp_flags};
        if (ipv6_) return;
        auto* header = reinterpret_cast<rte_ipv4_hdr*>(at + 14);
        header->hdr_checksum = 0;
        header->hdr_checksum = rte_ipv4_cksum(header);
    }

    bool ipv6_;
    std::size_t l3_length_;
    std::vector<std::byte> frame_;
};

}  // namespace nlvs::bench
