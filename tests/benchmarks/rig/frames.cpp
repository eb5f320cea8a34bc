#include "tests/benchmarks/rig/frames.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "compat/net/bytes.hpp"

namespace nlvs::rig {
namespace {

constexpr std::uint32_t magic = 0x6E6C7673;
constexpr std::uint32_t clients = 0x0B000000;
constexpr std::uint32_t flows_per_client = 60000;
constexpr std::uint32_t virtual_address = 0x0A63000A;
constexpr std::uint32_t first_server = 0x0A630100;
constexpr std::uint16_t virtual_port = 53;
constexpr std::uint16_t server_port = 5353;
constexpr std::size_t ethernet = 14;
constexpr std::uint32_t steps = 8;  // a flow's sequence numbers: flow * steps + step

constexpr std::array<std::uint8_t, 7> flags_of_step{
    RTE_TCP_SYN_FLAG,
    RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG,
    RTE_TCP_ACK_FLAG,
    RTE_TCP_PSH_FLAG | RTE_TCP_ACK_FLAG,
    RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG,
    RTE_TCP_FIN_FLAG | RTE_TCP_ACK_FLAG,
    RTE_TCP_ACK_FLAG};

template <class T>
T* at(rte_mbuf* packet, std::size_t offset) noexcept {
    return rte_pktmbuf_mtod_offset(packet, T*, offset);
}

std::uint32_t client_of(std::uint32_t flow) noexcept { return clients + flow / flows_per_client; }

std::uint16_t port_of(std::uint32_t flow) noexcept {
    return static_cast<std::uint16_t>(1024 + flow % flows_per_client);
}

/// RFC 1071, by words as they lie in memory; not yet folded.
std::uint64_t sum_of(const void* from, std::size_t length) noexcept {
    const auto* bytes = static_cast<const std::byte*>(from);
    std::uint64_t sum = 0;
    std::size_t i = 0;
    for (; i + 4 <= length; i += 4) sum += net::load<std::uint32_t>(bytes + i);
    if ((length & 2) != 0) {
        sum += net::load<std::uint16_t>(bytes + i);
        i += 2;
    }
    if ((length & 1) != 0) sum += std::to_integer<std::uint64_t>(bytes[i]);
    return sum;
}

std::uint16_t fold(std::uint64_t sum) noexcept {
    sum = (sum & 0xFFFFFFFF) + (sum >> 32);
    sum = (sum & 0xFFFF) + ((sum >> 16) & 0xFFFF) + (sum >> 32);
    return static_cast<std::uint16_t>((sum & 0xFFFF) + (sum >> 16));
}

/// Of the transport header and payload with the pseudo header (RFC 768, RFC 9293).
std::uint64_t transport_sum(const rte_ipv4_hdr* ip) noexcept {
    const std::size_t length = rte_be_to_cpu_16(ip->total_length) - sizeof(*ip);
    return sum_of(ip + 1, length) + sum_of(&ip->src_addr, 8) +
           rte_cpu_to_be_16(static_cast<std::uint16_t>(length)) +
           rte_cpu_to_be_16(ip->next_proto_id);
}

/// The sum over everything, the checksum included, is all ones.
bool intact_header(const rte_ipv4_hdr* ip) noexcept { return fold(sum_of(ip, sizeof(*ip))) == 0xFFFF; }

bool intact_transport(const rte_ipv4_hdr* ip) noexcept { return fold(transport_sum(ip)) == 0xFFFF; }

void finish(rte_mbuf* packet, bool tcp) noexcept {
    auto* ip = at<rte_ipv4_hdr>(packet, ethernet);
    ip->hdr_checksum = 0;
    ip->hdr_checksum = static_cast<std::uint16_t>(~fold(sum_of(ip, sizeof(*ip))));
    if (tcp) {
        auto* header = reinterpret_cast<rte_tcp_hdr*>(ip + 1);
        header->cksum = 0;
        header->cksum = static_cast<std::uint16_t>(~fold(transport_sum(ip)));
        return;
    }
    auto* header = reinterpret_cast<rte_udp_hdr*>(ip + 1);
    header->dgram_cksum = 0;
    const auto checksum = static_cast<std::uint16_t>(~fold(transport_sum(ip)));
    header->dgram_cksum = checksum == 0 ? std::uint16_t{0xFFFF} : checksum;
}

}  // namespace

Frames::Frames(const Settings& settings) : settings_{settings} {
    settings_.frame = std::max<std::uint16_t>(
        settings.frame, static_cast<std::uint16_t>(header_length() + (settings.tcp ? 0 : sizeof(Stamp)))
    );
    auto* ether = reinterpret_cast<rte_ether_hdr*>(pattern_.data());
    std::ranges::copy(settings.director, ether->dst_addr.addr_bytes);
    const Mac gateway{2, 0, 0, 0, 0, 0xFE};
    std::ranges::copy(gateway, ether->src_addr.addr_bytes);
    ether->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
    auto* ip = reinterpret_cast<rte_ipv4_hdr*>(pattern_.data() + ethernet);
    ip->version_ihl = 0x45;
    ip->total_length = rte_cpu_to_be_16(static_cast<std::uint16_t>(settings_.frame - ethernet));
    ip->time_to_live = 64;
    ip->next_proto_id = settings.tcp ? 6 : 17;
    ip->dst_addr = rte_cpu_to_be_32(virtual_address);
    if (settings.tcp) {
        auto* tcp = reinterpret_cast<rte_tcp_hdr*>(ip + 1);
        tcp->data_off = 0x50;
        tcp->rx_win = rte_cpu_to_be_16(0xFFFF);
        return;
    }
    auto* udp = reinterpret_cast<rte_udp_hdr*>(ip + 1);
    udp->dgram_len = rte_cpu_to_be_16(static_cast<std::uint16_t>(settings_.frame - ethernet - 20));
}

void Frames::write(rte_mbuf* packet, std::uint32_t flow, std::uint64_t now) const noexcept {
    packet->data_len = settings_.frame;
    packet->pkt_len = settings_.frame;
    std::memcpy(at<std::byte>(packet, 0), pattern_.data(), settings_.frame);
    auto* ip = at<rte_ipv4_hdr>(packet, ethernet);
    ip->src_addr = rte_cpu_to_be_32(client_of(flow));
    if (settings_.tcp) {
        auto* tcp = reinterpret_cast<rte_tcp_hdr*>(ip + 1);
        tcp->src_port = rte_cpu_to_be_16(port_of(flow));
        tcp->dst_port = rte_cpu_to_be_16(virtual_port);
        tcp->tcp_flags = RTE_TCP_SYN_FLAG;
        tcp->sent_seq = rte_cpu_to_be_32(flow * steps);
    } else {
        auto* udp = reinterpret_cast<rte_udp_hdr*>(ip + 1);
        udp->src_port = rte_cpu_to_be_16(port_of(flow));
        udp->dst_port = rte_cpu_to_be_16(virtual_port);
        const Stamp stamp{magic, flow, now};
        std::memcpy(udp + 1, &stamp, sizeof(stamp));
    }
    finish(packet, settings_.tcp);
}

bool Frames::ours(const rte_mbuf* packet) const noexcept {
    const auto* ether = rte_pktmbuf_mtod(packet, const rte_ether_hdr*);
    return ether->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
}

std::optional<Arrival> Frames::verify(const rte_mbuf* packet) const noexcept {
    const auto* ether = rte_pktmbuf_mtod(packet, const rte_ether_hdr*);
    std::size_t offset = ethernet;
    Arrival arrival;
    const bool to_server = ether->dst_addr.addr_bytes[4] == 1;
    if (to_server) arrival.server = ether->dst_addr.addr_bytes[5];
    if (settings_.method == Method::tunnel && to_server) {
        const auto* outer = rte_pktmbuf_mtod_offset(packet, const rte_ipv4_hdr*, ethernet);
        if (outer->next_proto_id != 4 || !intact_header(outer) ||
            outer->dst_addr != rte_cpu_to_be_32(first_server + arrival.server)) {
            return std::nullopt;
        }
        offset += sizeof(*outer);
    }
    if (packet->pkt_len != settings_.frame + offset - ethernet) return std::nullopt;
    const auto* ip = rte_pktmbuf_mtod_offset(packet, const rte_ipv4_hdr*, offset);
    if (settings_.tcp) {
        const auto* tcp = reinterpret_cast<const rte_tcp_hdr*>(ip + 1);
        const std::uint32_t sequence = rte_be_to_cpu_32(tcp->sent_seq);
        arrival.flow = sequence / steps;
        arrival.step = static_cast<Step>(sequence % steps);
        if (!intact_transport(ip)) return std::nullopt;
    } else {
        const auto* udp = reinterpret_cast<const rte_udp_hdr*>(ip + 1);
        Stamp stamp;
        std::memcpy(&stamp, udp + 1, sizeof(stamp));
        arrival.flow = stamp.flow;
        arrival.sent = stamp.sent;
        const bool intact = stamp.magic == magic && intact_transport(ip);
        if (!intact) return std::nullopt;
    }
    if (settings_.method == Method::macswap) {
        arrival.server = 1;
        return arrival;
    }
    const bool right = intact_header(ip) &&
                       addressed_rightly(reinterpret_cast<const std::byte*>(ip), arrival);
    return right ? std::optional{arrival} : std::nullopt;
}

bool Frames::addressed_rightly(const std::byte* at, const Arrival& arrival) const noexcept {
    const auto* ip = reinterpret_cast<const rte_ipv4_hdr*>(at);
    // Both protocols begin with the ports.
    const auto* ports = reinterpret_cast<const rte_udp_hdr*>(ip + 1);
    const std::uint32_t client = rte_cpu_to_be_32(client_of(arrival.flow));
    const std::uint16_t client_port = rte_cpu_to_be_16(port_of(arrival.flow));
    if (arrival.server == 0) {
        return ip->dst_addr == client && ports->dst_port == client_port &&
               ip->src_addr == rte_cpu_to_be_32(virtual_address) &&
               ports->src_port == rte_cpu_to_be_16(virtual_port);
    }
    const bool translated = settings_.method == Method::masquerade;
    const std::uint32_t destination = translated ? first_server + arrival.server : virtual_address;
    const std::uint16_t port = translated ? server_port : virtual_port;
    return arrival.server <= settings_.servers && ip->src_addr == client &&
           ports->src_port == client_port && ip->dst_addr == rte_cpu_to_be_32(destination) &&
           ports->dst_port == rte_cpu_to_be_16(port);
}

void Frames::answer(rte_mbuf* packet, const Arrival& arrival, std::uint64_t now) const noexcept {
    auto* ether = at<rte_ether_hdr>(packet, 0);
    std::swap(ether->src_addr, ether->dst_addr);
    std::ranges::copy(settings_.director, ether->dst_addr.addr_bytes);
    auto* ip = at<rte_ipv4_hdr>(packet, ethernet);
    const rte_be32_t source = ip->src_addr;
    ip->src_addr = ip->dst_addr;
    ip->dst_addr = source;
    ip->time_to_live = 64;
    auto* ports = reinterpret_cast<rte_udp_hdr*>(ip + 1);
    const rte_be16_t source_port = ports->src_port;
    ports->src_port = ports->dst_port;
    ports->dst_port = source_port;
    if (settings_.tcp) {
        auto* tcp = reinterpret_cast<rte_tcp_hdr*>(ip + 1);
        const auto step = static_cast<std::uint32_t>(arrival.step) + 1;
        tcp->tcp_flags = flags_of_step[step];
        tcp->sent_seq = rte_cpu_to_be_32(arrival.flow * steps + step);
    } else {
        const Stamp stamp{magic, arrival.flow, now};
        std::memcpy(ports + 1, &stamp, sizeof(stamp));
    }
    finish(packet, settings_.tcp);
}

}  // namespace nlvs::rig
