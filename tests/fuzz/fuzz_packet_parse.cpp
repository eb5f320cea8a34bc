// Any bytes as a frame: parse is total, and whatever it accepts can be rewritten in every way
// without leaving the frame, and back.

#include "compat/net/ip_address.hpp"
#include "forwarding/packet/parse.hpp"
#include "forwarding/packet/partial_checksum.hpp"
#include "forwarding/transmit/direct_route.hpp"
#include "forwarding/transmit/icmp_related.hpp"
#include "forwarding/transmit/masquerade.hpp"
#include "forwarding/transmit/tunnel.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

#include <rte_mbuf.h>

namespace {

using namespace nlvs;
using namespace nlvs::forwarding;

void require(bool condition) {
    if (!condition) std::abort();
}

/// A frame in an mbuf that no pool owns, in a heap block that ends where the frame does.
class Frame {
public:
    explicit Frame(std::span<const std::byte> bytes) : block_(headroom + bytes.size()) {
        std::copy(bytes.begin(), bytes.end(), block_.begin() + headroom);
        mbuf_.buf_addr = block_.data();
        mbuf_.buf_len = static_cast<std::uint16_t>(block_.size());
        mbuf_.data_off = headroom;
        mbuf_.data_len = static_cast<std::uint16_t>(bytes.size());
        mbuf_.pkt_len = static_cast<std::uint32_t>(bytes.size());
        mbuf_.nb_segs = 1;
    }

    rte_mbuf* mbuf() { return &mbuf_; }

    std::vector<std::byte> bytes() const { return {block_.begin() + mbuf_.data_off, block_.end()}; }

private:
    static constexpr std::uint16_t headroom = 64;
    std::vector<std::byte> block_;
    rte_mbuf mbuf_{};
};

template <class F>
typename F::Address address(std::uint8_t last) {
    if constexpr (F::family == net::Family::inet) {
        return net::Ipv4Address{0xC0A80100U | last};
    } else {
        return net::Ipv6Address{{0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last}};
    }
}

template <class F>
Connection<F> connection_of(const FlowKey<F>& flow) {
    Connection<F> c{};
    c.client = flow.source;
    c.client_port = flow.source_port;
    c.virtual_address = flow.destination;
    c.virtual_port = flow.destination_port;
    c.destination = address<F>(2);
    c.destination_port = net::Port{std::uint16_t{8080}};
    c.protocol = flow.protocol;
    return c;
}

/// AH and ESP: a packet of the flow of its hosts' key exchange, with no ports of its own.
bool has_ports(const Parsed& p) {
    return p.protocol == (p.family == net::Family::inet ? p.flow4.protocol : p.flow6.protocol);
}

void check_offsets(const Parsed& p, std::size_t size) {
    if (p.kind != PacketKind::transport && p.kind != PacketKind::icmp_error) return;
    require(p.l3_offset < p.l4_offset && p.l4_offset <= p.payload_offset);
    require(p.l4_offset < p.payload_offset || !has_ports(p));
    require(p.payload_offset <= p.l3_offset + p.l3_length);
    require(std::size_t{p.l3_offset} + p.l3_length <= size);
    if (p.kind == PacketKind::icmp_error) require(p.inner_l3_offset < p.inner_l4_offset);
}

template <class F>
void masquerade_there_and_back(std::span<const std::byte> bytes, const Parsed& parsed) {
    auto there = connection_of(parsed.flow<F>());
    auto back = there;
    std::swap(back.virtual_address, back.destination);
    std::swap(back.virtual_port, back.destination_port);
    Frame frame{bytes};
    complete_partial_checksum(frame.mbuf(), parsed);
    masquerade<F, Direction::request>(frame.mbuf(), parsed, there);
    if (may_be_forwarded(parsed)) {
        decrement_ttl<F>(rte_pktmbuf_mtod_offset(frame.mbuf(), std::byte*, parsed.l3_offset));
    }
    const auto rewritten = frame.bytes();
    const Parsed again = parse(rewritten, rewritten.size());
    require(
        again.kind == PacketKind::transport && again.flow<F>().destination == there.destination
    );
    require(
        again.flow<F>().destination_port ==
        (has_ports(parsed) ? there.destination_port : parsed.flow<F>().destination_port)
    );
    masquerade<F, Direction::request>(frame.mbuf(), again, back);
    const auto restored = frame.bytes();
    require(parse(restored, restored.size()).flow<F>() == parsed.flow<F>());
}

template <class F>
void encapsulate_in_everything(std::span<const std::byte> bytes, const Parsed& parsed) {
    std::uint16_t identification = 0;
    for (const auto type : {ipvs::TunnelType::ipip, ipvs::TunnelType::gue, ipvs::TunnelType::gre}) {
        for (const std::uint16_t flags : std::initializer_list<std::uint16_t>{0, 1, 2}) {
            const ipvs::Tunnel tunnel{type, net::Port{std::uint16_t{6080}}, flags};
            for (const auto& header :
                 {build_tunnel_header(address<V4>(2), address<V4>(1), tunnel),
                  build_tunnel_header(address<V6>(2), address<V6>(1), tunnel)}) {
                Frame frame{bytes};
                require(encapsulate<F>(frame.mbuf(), parsed, header, {bytes.size(), identification})
                );
                require(frame.mbuf()->pkt_len == std::size_t{header.length} + parsed.l3_length);
            }
        }
    }
}

/// An error about a tunnel's packet is no flow's: nothing of it is ever rewritten.
bool is_translated(std::uint8_t protocol) {
    const net::IpProtocol known{protocol};
    return known == net::IpProtocol::tcp || known == net::IpProtocol::udp ||
           known == net::IpProtocol::sctp;
}

template <class F>
void rewrite(std::span<const std::byte> bytes, const Parsed& parsed) {
    if (parsed.kind == PacketKind::transport) {
        masquerade_there_and_back<F>(bytes, parsed);
        encapsulate_in_everything<F>(bytes, parsed);
    } else if (parsed.kind == PacketKind::icmp_error && is_translated(parsed.flow<F>().protocol)) {
        const auto connection = connection_of(parsed.flow<F>().inverted());
        Frame frame{bytes};
        write_transport_checksum(frame.mbuf(), parsed);
        require(masquerade_icmp_error<F, Direction::request>(frame.mbuf(), parsed, connection));
        require(masquerade_icmp_error<F, Direction::reply>(frame.mbuf(), parsed, connection));
        encapsulate_in_everything<F>(bytes, parsed);
    }
}

void check(std::span<const std::byte> bytes) {
    const Parsed parsed = parse(bytes, bytes.size());
    check_offsets(parsed, bytes.size());
    // A first segment of any size must not be read beyond.
    for (std::size_t size = 0; size < std::min<std::size_t>(bytes.size(), 128); size += 7) {
        const std::vector<std::byte> segment(
            bytes.begin(), bytes.begin() + static_cast<long>(size)
        );
        parse(segment, bytes.size());
    }
    if (parsed.family == net::Family::inet) {
        rewrite<V4>(bytes, parsed);
    } else {
        rewrite<V6>(bytes, parsed);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size > 2048) return 0;
    std::vector<std::byte> bytes(size);
    std::transform(data, data + size, bytes.begin(), [](std::uint8_t b) { return std::byte{b}; });
    check(bytes);
    // No mutation hits a right IPv4 header checksum, so the same again with one.
    constexpr std::size_t l3 = sizeof(EthernetHeader);
    if (size < l3 + sizeof(Ipv4Header)) return 0;
    auto& header = *net::header_at<Ipv4Header>(bytes.data() + l3);
    if (header.version() != 4 || size < l3 + header.length() ||
        header.length() < sizeof(Ipv4Header)) {
        return 0;
    }
    write_checksum(header);
    check(bytes);
    return 0;
}
