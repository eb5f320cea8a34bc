#include "forwarding/route_query.hpp"

#include "forwarding/packet/parse.hpp"

namespace nlvs::forwarding {
namespace {

/// The bits that routes and rules know. Linux: route.h IPTOS_RT_MASK.
constexpr std::uint8_t service_bits = 0x1C;

std::uint8_t type_of_service(const std::byte* l3, net::Family family) noexcept {
    if (family == net::Family::inet) {
        return std::to_integer<std::uint8_t>(l3[1]) & service_bits;
    }
    const std::uint16_t word = net::load<net::Be16>(l3).host();
    return static_cast<std::uint8_t>(word >> 4) & 0xFC;  // RFC 8200: traffic class, without ECN
}

const Ingress* ingress_of(
    const Configuration& configuration, const PacketContext& context
) noexcept {
    const std::uint64_t word = net::load<std::uint64_t>(context.data()) & station_mask;
    return configuration.ingress.find({context.port, word, context.parsed.tags});
}

bool has_ports(std::uint8_t protocol) noexcept {
    const net::IpProtocol known{protocol};
    return known == net::IpProtocol::tcp || known == net::IpProtocol::udp ||
           known == net::IpProtocol::sctp;
}

}  // namespace

template <class F>
void describe_input(
    const Configuration& configuration, const PacketContext& context, RouteQuery& query
) noexcept {
    const Parsed& parsed = context.parsed;
    const auto& flow = parsed.template flow<F>();
    query.source = flow.source;
    query.protocol = parsed.protocol;
    query.type_of_service = type_of_service(context.l3(), F::family);
    if (parsed.kind == PacketKind::transport) {
        query.source_port = flow.source_port;
        query.destination_port = flow.destination_port;
    }
    if (context.tunnel != nullptr) [[unlikely]] {
        query.input = context.tunnel->input;
        query.vrf_table = context.tunnel->vrf_table;
        return;
    }
    const Ingress* ingress = ingress_of(configuration, context);
    query.input = ingress != nullptr
                      ? ingress->input
                      : configuration.ports[context.port].interface.load(std::memory_order_relaxed);
    query.vrf_table = ingress != nullptr ? ingress->vrf_table : 0;
}

template void describe_input<V4>(const Configuration&, const PacketContext&, RouteQuery&) noexcept;
template void describe_input<V6>(const Configuration&, const PacketContext&, RouteQuery&) noexcept;

std::uint32_t receiving_interface(
    const Configuration& configuration, const PacketContext& context
) noexcept {
    if (context.tunnel != nullptr) [[unlikely]] return context.tunnel->interface;
    const Ingress* ingress = ingress_of(configuration, context);
    return ingress != nullptr ? ingress->interface : configuration.ports[context.port].interface.load(std::memory_order_relaxed);
}

void describe_output(const rte_mbuf& packet, std::uint16_t l3_offset, RouteQuery& query) noexcept {
    const std::byte* l3 = rte_pktmbuf_mtod_offset(&packet, const std::byte*, l3_offset);
    std::size_t header = sizeof(Ipv6Header);
    if (query.destination.is_v4()) {
        const auto& ip = *net::header_at<Ipv4Header>(l3);
        query.source = ip.source.get();
        query.protocol = ip.protocol;
        header = ip.length();
        query.type_of_service = type_of_service(l3, net::Family::inet);
    } else {
        const auto& ip = *net::header_at<Ipv6Header>(l3);
        query.source = ip.source.get();
        query.protocol = ip.next_header;
        query.type_of_service = type_of_service(l3, net::Family::inet6);
    }
    if (!has_ports(query.protocol) || packet.data_len < l3_offset + header + 4) return;
    query.source_port = net::load<net::Port>(l3 + header);
    query.destination_port = net::load<net::Port>(l3 + header + 2);
}

}  // namespace nlvs::forwarding
