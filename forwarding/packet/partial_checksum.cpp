#include "forwarding/packet/partial_checksum.hpp"

#include "compat/net/bytes.hpp"
#include "compat/net/ip_protocol.hpp"
#include "forwarding/packet/headers/sctp.hpp"
#include "forwarding/packet/headers/tcp.hpp"
#include "forwarding/packet/headers/udp.hpp"
#include "forwarding/packet/transport_checksum.hpp"

namespace nlvs::forwarding {
namespace {

/// What the field would hold if it were partial, over an L4 part of `length` bytes.
std::uint16_t partial_value(const Parsed& parsed, std::size_t length) noexcept {
    if (parsed.family == net::Family::inet) {
        return fold(pseudo_header_sum(
            parsed.flow4.source, parsed.flow4.destination, parsed.protocol, length
        ));
    }
    return fold(
        pseudo_header_sum(parsed.flow6.source, parsed.flow6.destination, parsed.protocol, length)
    );
}

bool is_partial(const std::byte* l4, const Parsed& parsed) noexcept {
    switch (net::IpProtocol{parsed.protocol}) {
        case net::IpProtocol::tcp: {
            const auto& header = *net::header_at<TcpHeader>(l4);
            return header.checksum.get().wire() == partial_value(parsed, parsed.l4_length());
        }
        case net::IpProtocol::udp: {
            const auto& header = *net::header_at<UdpHeader>(l4);
            return header.checksum.get().wire() == partial_value(parsed, header.length.host());
        }
        case net::IpProtocol::sctp:
            return net::header_at<SctpHeader>(l4)->checksum == 0U;
        default:
            return false;
    }
}

}  // namespace

bool complete_partial_checksum(rte_mbuf* packet, const Parsed& parsed) noexcept {
    if (parsed.kind != PacketKind::transport) return false;
    if (!is_partial(rte_pktmbuf_mtod_offset(packet, std::byte*, parsed.l4_offset), parsed)) {
        return false;
    }
    write_transport_checksum(packet, parsed);
    packet->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_NONE;
    return true;
}

std::size_t restore_partial_checksum(std::byte* l4, const Parsed& parsed) noexcept {
    const bool tcp = static_cast<net::IpProtocol>(parsed.protocol) == net::IpProtocol::tcp;
    const std::size_t length =
        tcp ? parsed.l4_length() : std::size_t{net::header_at<UdpHeader>(l4)->length.host()};
    const std::size_t field = tcp ? offsetof(TcpHeader, checksum) : offsetof(UdpHeader, checksum);
    net::store(l4 + field, net::Be16::from_wire(partial_value(parsed, length)));
    return field;
}

}  // namespace nlvs::forwarding
