#include "forwarding/packet/transport_checksum.hpp"

#include "compat/net/ip_protocol.hpp"
#include "forwarding/packet/headers/icmp.hpp"
#include "forwarding/packet/headers/sctp.hpp"
#include "forwarding/packet/headers/tcp.hpp"
#include "forwarding/packet/headers/udp.hpp"

#include <algorithm>
#include <optional>

#include <rte_hash_crc.h>
#include <rte_ip.h>

namespace nlvs::forwarding {
namespace {

using net::IpProtocol;

std::byte* bytes_at(const rte_mbuf* packet, std::size_t offset) noexcept {
    return rte_pktmbuf_mtod_offset(packet, std::byte*, offset);
}

/// Where the 16-bit checksum of a protocol is in its header.
std::optional<std::size_t> checksum_offset(IpProtocol protocol) noexcept {
    switch (protocol) {
        case IpProtocol::tcp:
            return offsetof(TcpHeader, checksum);
        case IpProtocol::udp:
            return offsetof(UdpHeader, checksum);
        case IpProtocol::icmp:
        case IpProtocol::icmpv6:
            return offsetof(IcmpHeader, checksum);
        default:
            return std::nullopt;
    }
}

/// Bytes the checksum covers. UDP says itself how long it is; what follows (RFC 9868) is not
/// covered.
std::size_t covered_length(const rte_mbuf* packet, const Parsed& parsed) noexcept {
    if (IpProtocol{parsed.protocol} != IpProtocol::udp) return parsed.l4_length();
    return net::header_at<UdpHeader>(bytes_at(packet, parsed.l4_offset))->length.host();
}

std::uint64_t packet_pseudo_header_sum(
    const rte_mbuf* packet, const Parsed& parsed, std::size_t length
) noexcept {
    const std::byte* l3 = bytes_at(packet, parsed.l3_offset);
    if (parsed.family == net::Family::inet) {
        if (IpProtocol{parsed.protocol} == IpProtocol::icmp) return 0;
        const auto& header = *net::header_at<Ipv4Header>(l3);
        return pseudo_header_sum(
            header.source.get(), header.destination.get(), parsed.protocol, length
        );
    }
    const auto& header = *net::header_at<Ipv6Header>(l3);
    return pseudo_header_sum(
        header.source.get(), header.destination.get(), parsed.protocol, length
    );
}

std::uint16_t whole_sum(const rte_mbuf* packet, const Parsed& parsed) noexcept {
    const std::size_t length = covered_length(packet, parsed);
    return fold(
        packet_pseudo_header_sum(packet, parsed, length) +
        sum_bytes(packet, parsed.l4_offset, length)
    );
}

/// rte_hash_crc for bytes of any alignment.
std::uint32_t crc32c(const std::byte* from, std::size_t length, std::uint32_t crc) noexcept {
    for (; length >= 8; from += 8, length -= 8) {
        crc = rte_hash_crc_8byte(net::load<std::uint64_t>(from), crc);
    }
    for (; length > 0; ++from, --length) {
        crc = rte_hash_crc_1byte(net::load<std::uint8_t>(from), crc);
    }
    return crc;
}

/// CRC32c over an SCTP packet with its checksum field taken as zero (RFC 9260, appendix A).
std::uint32_t sctp_checksum(const rte_mbuf* packet, const Parsed& parsed) noexcept {
    auto header = net::load<SctpHeader>(bytes_at(packet, parsed.l4_offset));
    header.checksum = 0U;
    std::uint32_t crc = crc32c(net::as_bytes_of(header).data(), sizeof(header), 0xFFFFFFFF);
    std::size_t skip = parsed.l4_offset + sizeof(header);
    std::size_t left = parsed.l4_length() - sizeof(header);
    for (; packet != nullptr && left > 0; packet = packet->next) {
        if (skip >= packet->data_len) {
            skip -= packet->data_len;
            continue;
        }
        const std::size_t here = std::min<std::size_t>(left, packet->data_len - skip);
        crc = crc32c(bytes_at(packet, skip), here, crc);
        left -= here;
        skip = 0;
    }
    return ~crc;
}

}  // namespace

// Not rte_raw_cksum_mbuf: DPDK 22.11 loses carries of a segment that begins at an odd distance.
std::uint16_t sum_bytes(const rte_mbuf* packet, std::size_t offset, std::size_t length) noexcept {
    std::uint64_t sum = 0;
    bool odd = false;
    for (; packet != nullptr && length > 0; packet = packet->next) {
        if (offset >= packet->data_len) {
            offset -= packet->data_len;
            continue;
        }
        const std::size_t here = std::min<std::size_t>(length, packet->data_len - offset);
        const std::uint16_t part = rte_raw_cksum(bytes_at(packet, offset), here);
        sum += odd ? __builtin_bswap16(part) : part;
        odd ^= (here & 1) != 0;
        length -= here;
        offset = 0;
    }
    return fold(sum);
}

void write_transport_checksum(rte_mbuf* packet, const Parsed& parsed) noexcept {
    const IpProtocol protocol{parsed.protocol};
    std::byte* l4 = bytes_at(packet, parsed.l4_offset);
    if (protocol == IpProtocol::sctp) {
        net::header_at<SctpHeader>(l4)->checksum = sctp_checksum(packet, parsed);
        return;
    }
    const auto field = checksum_offset(protocol);
    if (!field) return;
    net::store(l4 + *field, net::Be16{});
    auto checksum = net::Be16::from_wire(static_cast<std::uint16_t>(~whole_sum(packet, parsed)));
    if (protocol == IpProtocol::udp && checksum.wire() == 0)
        checksum = net::Be16::from_wire(0xFFFF);
    net::store(l4 + *field, checksum);
}

bool has_valid_transport_checksum(const rte_mbuf* packet, const Parsed& parsed) noexcept {
    const IpProtocol protocol{parsed.protocol};
    const std::byte* l4 = bytes_at(packet, parsed.l4_offset);
    if (protocol == IpProtocol::sctp) {
        return net::header_at<SctpHeader>(l4)->checksum == sctp_checksum(packet, parsed);
    }
    const auto field = checksum_offset(protocol);
    if (!field) return true;
    if (protocol == IpProtocol::udp && net::load<net::Be16>(l4 + *field).wire() == 0) {
        return parsed.family == net::Family::inet;
    }
    return whole_sum(packet, parsed) == 0xFFFF;
}

}  // namespace nlvs::forwarding
