#include "forwarding/plain_router.hpp"

#include <algorithm>

#include "forwarding/route_query.hpp"

namespace nlvs::forwarding {
namespace {

/// Linux: route.c ip_route_input_slow ("martian"), ip_forward.c.
bool is_plain(const Ipv4Header& header) noexcept {
    const auto first = [](net::Ipv4Address address) { return address.host() >> 24; };
    const auto bad = [](std::uint32_t octet) { return octet == 0 || octet == 127 || octet >= 224; };
    return header.length() == sizeof(Ipv4Header) && !bad(first(header.source)) &&
           !bad(first(header.destination));
}

/// Linux: ip6_output.c ip6_forward; hop-by-hop options are for every router to read.
bool is_plain(const Ipv6Header& header) noexcept {
    const auto bad = [](const net::Ipv6Address& address) {
        const auto& bytes = address.bytes();
        const bool multicast = bytes[0] == 0xFF;
        const bool link_local = bytes[0] == 0xFE && (bytes[1] & 0xC0) == 0x80;
        const bool low = std::all_of(bytes.begin(), bytes.end() - 1, [](auto byte) { return byte == 0; });
        return multicast || link_local || low;
    };
    constexpr std::uint8_t hop_by_hop = 0;
    return header.next_header != hop_by_hop && !bad(header.source) && !bad(header.destination);
}

/// Flows of every protocol keep their way.
std::uint32_t spread(const RouteQuery& query) noexcept {
    const std::uint64_t hash = mix(hash_address(query.source), hash_address(query.destination));
    return static_cast<std::uint32_t>(hash >> 32);
}

}  // namespace

template <class F>
bool PlainRouter::forward(const PacketContext& context) noexcept {
    const Parsed& parsed = context.parsed;
    // What came through a tunnel is unpacked by the kernel, which then routes it.
    if (context.tunnel != nullptr) return false;
    if (parsed.l3_length == 0 || parsed.largest_fragment != 0 || !may_be_forwarded(parsed)) return false;
    if (parsed.kind == PacketKind::fragment || parsed.kind == PacketKind::malformed) return false;
    using Header = std::conditional_t<F::family == net::Family::inet, Ipv4Header, Ipv6Header>;
    const auto& header = *net::header_at<Header>(context.l3());
    if (!is_plain(header)) return false;

    const Configuration& configuration = shared_.configuration;
    const std::uint64_t station = net::load<std::uint64_t>(context.data()) & station_mask;
    const Ingress* ingress = configuration.ingress.find({context.port, station, parsed.tags});
    if (ingress == nullptr) return false;
    if (!(F::family == net::Family::inet ? ingress->forwards_v4 : ingress->forwards_v6)) return false;

    // The flow of an ICMP error is that of the packet it is about.
    RouteQuery query;
    query.destination = typename F::Address{header.destination};
    describe_output(*context.packet, parsed.l3_offset, query);
    query.input = ingress->input;
    query.vrf_table = ingress->vrf_table;
    const Route* route = configuration.routes<F>().lookup(query);
    if (route == nullptr) return false;
    const NextHop& hop = route->pick(spread(query));
    if (hop.type != NextHop::Type::unicast || hop.interface == ingress->interface) return false;
    if (!is_plausible<F>(*ingress, query)) return false;

    const NeighbourKey key{hop.interface, hop.on_link ? query.destination : hop.via};
    const Neighbour* neighbour = configuration.neighbours.find(key);
    const Adjacency* adjacency =
        neighbour == nullptr ? nullptr : neighbour->slot->node.load(std::memory_order_acquire);
    if (adjacency == nullptr) return false;
    const std::uint32_t mtu = hop.mtu != 0 ? hop.mtu : adjacency->mtu;
    if (parsed.l3_length > mtu) return false;
    // The kernel sends nothing itself, so it would not notice that the neighbour has moved.
    if (adjacency->stale) worker_.mailbox.want({key.interface, key.address});
    decrement_ttl<F>(context.l3());
    worker_.counters.routed.add(1);
    transmit_.send(context.packet, parsed.l3_offset, F::family, *adjacency);
    return true;
}

/// Linux: fib_frontend.c fib_validate_source; IPv6 has no such setting.
template <class F>
bool PlainRouter::is_plausible(const Ingress& ingress, const RouteQuery& query) const noexcept {
    if (F::family == net::Family::inet6 || ingress.source_check == SourceCheck::none) return true;
    RouteQuery back = query;
    std::swap(back.source, back.destination);
    std::swap(back.source_port, back.destination_port);
    back.input = RouteQuery::host;
    const Route* route = shared_.configuration.routes<F>().lookup(back);
    if (route == nullptr) return false;
    const auto leads_back = [&ingress](const NextHop& hop) {
        if (hop.type != NextHop::Type::unicast) return false;
        return ingress.source_check == SourceCheck::loose || hop.interface == ingress.interface;
    };
    if (route->hops.empty()) return leads_back(route->single);
    return std::ranges::any_of(route->hops, leads_back);
}

template bool PlainRouter::forward<V4>(const PacketContext&) noexcept;
template bool PlainRouter::forward<V6>(const PacketContext&) noexcept;

}  // namespace nlvs::forwarding
