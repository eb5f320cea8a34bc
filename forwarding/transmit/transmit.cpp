#include "forwarding/transmit/transmit.hpp"

#include <algorithm>
#include <array>

#include "compat/net/bytes.hpp"
#include "forwarding/packet/headers/icmp.hpp"
#include "forwarding/route_query.hpp"
#include "forwarding/schedulers/address_hash.hpp"
#include "forwarding/transmit/fragment.hpp"

namespace nlvs::forwarding {

template <class F>
const typename F::Address* Transmit::error_source(
    const PacketContext& context, typename F::Address& buffer
) noexcept {
    const auto& key = context.parsed.template flow<F>();
    const Route* there = shared_.configuration.routes<F>().lookup(key.destination);
    if (there != nullptr && there->pick(0).type == NextHop::Type::local) return &key.destination;
    return address_towards<F>(key.source, buffer);
}

template <class F>
const typename F::Address* Transmit::address_towards(
    const typename F::Address& peer, typename F::Address& buffer
) const noexcept {
    const Configuration& configuration = shared_.configuration;
    const Route* back = configuration.routes<F>().lookup(peer);
    const OwnAddresses* own = configuration.own_addresses.current();
    if (back == nullptr || own == nullptr) return nullptr;
    const NextHop& hop = back->pick(0);
    const net::IpAddress* address =
        hop.source.is_any() ? own->find(hop.interface, peer) : &hop.source;
    if (address == nullptr) return nullptr;
    if constexpr (F::family == net::Family::inet) {
        buffer = address->v4();
    } else {
        buffer = address->v6();
    }
    return &buffer;
}

template const net::Ipv4Address* Transmit::address_towards<V4>(
    const net::Ipv4Address&, net::Ipv4Address&
) const noexcept;
template const net::Ipv6Address* Transmit::address_towards<V6>(
    const net::Ipv6Address&, net::Ipv6Address&
) const noexcept;

template <class F>
void Transmit::reject(
    const PacketContext& context, IcmpError error, std::uint32_t mtu, DropReason reason
) noexcept {
    typename F::Address buffer;
    const typename F::Address* source = error_source<F>(context, buffer);
    rte_mbuf* reply = source != nullptr && worker_.icmp_errors.admit(error, context.now.tsc)
                          ? make_icmp_error<F>(context.packet, context.parsed, error, mtu, *source)
                          : nullptr;
    if (reply != nullptr) {
        const PacketContext answer{
            reply, context.parsed, context.settings, 0, context.port, false, context.now
        };
        route(answer, 0, context.parsed.template flow<F>().source);
    }
    drop(context.packet, reason);
}

template void Transmit::reject<V4>(const PacketContext&, IcmpError, std::uint32_t, DropReason) noexcept;
template void Transmit::reject<V6>(const PacketContext&, IcmpError, std::uint32_t, DropReason) noexcept;

template <class F>
void Transmit::bypass(const PacketContext& context) noexcept {
    RouteQuery query;
    if constexpr (F::family == net::Family::inet) {
        query.destination = net::header_at<Ipv4Header>(context.l3())->destination.get();
    } else {
        query.destination = net::header_at<Ipv6Header>(context.l3())->destination.get();
    }
    const auto way = find_way(query, context.hash);
    if (!way) return reject<F>(context, IcmpError::host_unreachable, 0, DropReason::no_route);
    if (!may_be_forwarded(context.parsed)) {
        return reject<F>(context, IcmpError::time_exceeded, 0, DropReason::ttl_exceeded);
    }
    const MtuVerdict verdict = check_mtu(context.parsed, way->mtu);
    if (verdict == MtuVerdict::too_big) {
        return reject<F>(context, IcmpError::too_big, way->mtu, DropReason::too_big);
    }
    decrement_ttl<F>(context.l3());
    const std::uint16_t l3_offset = context.parsed.l3_offset;
    if (verdict == MtuVerdict::fits) return send_along(*way, context, l3_offset, F::family);
    FragmentTrain train;
    const std::uint32_t size = fragment_size(context.parsed, way->mtu);
    if (!cut(context.packet, l3_offset, F::family, size, train)) return;
    for (std::size_t i = 0; i < train.size; ++i) {
        send_along(*way, context.with(train.packets[i]), 0, F::family);
    }
}

template void Transmit::bypass<V4>(const PacketContext&) noexcept;
template void Transmit::bypass<V6>(const PacketContext&) noexcept;

/// Linux: ip_vs_core.c ip_vs_in_icmp, "Sending ICMP".
void Transmit::relay_tunnel_error(
    const PacketContext& context, const Tunnelled& about, DestinationSlot& slot
) noexcept {
    const auto& icmp = *net::header_at<IcmpHeader>(context.l4());
    const auto high = std::uint32_t{icmp.unused.get().host()};
    IcmpMessage message{icmp.type, icmp.code, high << 16 | icmp.next_hop_mtu.get().host()};
    const bool too_big =
        icmp.type == static_cast<std::uint8_t>(IcmpType::destination_unreachable) &&
        icmp.code == static_cast<std::uint8_t>(IcmpUnreachable::fragmentation_needed);
    if (too_big) {
        constexpr std::uint32_t least = 68;
        slot.learn_mtu(icmp.next_hop_mtu.get().host(), context.now.ticks);
        message.rest = slot.route_mtu.load(std::memory_order_relaxed);
        const std::uint32_t headers = about.l3_offset - std::uint32_t{context.parsed.inner_l3_offset};
        if (message.rest > least + headers) message.rest -= headers;
    }
    Parsed inner;
    inner.kind = PacketKind::transport;
    inner.l3_offset = about.l3_offset;
    inner.l3_length = about.l3_length;
    inner.flow4 = about.flow;
    const bool tells = (!too_big || about.dont_fragment) &&
                       worker_.icmp_errors.admit(
                           too_big ? IcmpError::too_big : IcmpError::host_unreachable, context.now.tsc
                       );
    rte_mbuf* reply =
        tells ? make_icmp_message(context.packet, inner, message, about.flow.destination) : nullptr;
    if (reply != nullptr) {
        const PacketContext answer{
            reply, context.parsed, context.settings, 0, context.port, false, context.now
        };
        route(answer, 0, about.flow.source);
    }
    rte_pktmbuf_free(context.packet);
}

std::optional<Transmit::Way> Transmit::find_way(
    const RouteQuery& query, std::uint64_t hash
) const noexcept {
    const Configuration& configuration = shared_.configuration;
    const net::IpAddress& to = query.destination;
    const Route* route =
        (to.is_v4() ? configuration.routes_v4 : configuration.routes_v6).lookup(query);
    if (route == nullptr) return std::nullopt;
    const NextHop& hop = route->pick(static_cast<std::uint32_t>(hash >> 32));
    if (hop.type != NextHop::Type::unicast) return std::nullopt;
    Way way;
    way.neighbour = {hop.interface, hop.on_link ? to : hop.via};
    if (const Neighbour* neighbour = configuration.neighbours.find(way.neighbour)) {
        way.adjacency = neighbour->slot->node.load(std::memory_order_acquire);
        way.id = neighbour->adjacency;
    }
    constexpr std::uint32_t most = 0xFFFF;
    const std::uint32_t link = way.adjacency != nullptr ? way.adjacency->mtu : most;
    way.has_own_mtu = hop.mtu != 0 && hop.mtu < link;
    way.mtu = way.has_own_mtu ? hop.mtu : link;
    return way;
}

void Transmit::send_along(
    const Way& way, const PacketContext& context, std::uint16_t l3_offset, net::Family family
) noexcept {
    if (way.adjacency != nullptr) return send(context.packet, l3_offset, family, *way.adjacency);
    worker_.mailbox.want({way.neighbour.interface, way.neighbour.address});
    hold(context, l3_offset, {nullptr, way.neighbour, nullptr, family, 0});
}

void Transmit::route(
    const PacketContext& context, std::uint16_t l3_offset, const net::IpAddress& to
) noexcept {
    const Configuration& configuration = shared_.configuration;
    RouteQuery query;
    query.destination = to;
    if ((to.is_v4() ? configuration.routes_v4 : configuration.routes_v6).selective()) [[unlikely]] {
        describe_output(*context.packet, l3_offset, query);
    }
    const auto way = find_way(query, context.hash);
    if (!way) return drop(context.packet, DropReason::no_route);
    send_along(*way, context, l3_offset, to.family());
}

template <class F>
bool Transmit::reply_by_route(
    const PacketContext& context, Connection<F>& connection, std::uint16_t generation
) noexcept {
    RouteQuery query;
    query.destination = connection.client;
    if (shared_.configuration.routes<F>().selective()) [[unlikely]] {
        // Linux: ip_vs_core.c ip_vs_route_me_harder — as if the virtual address had sent it; otherwise
        // the way is that of the server's packet.
        const bool rerouted = context.settings.sysctls.snat_reroute != 0;
        if (rerouted || context.from_host) {
            describe_output(*context.packet, context.parsed.l3_offset, query);
        } else {
            describe_input<F>(shared_.configuration, context, query);
        }
        if (rerouted) {
            query.source = connection.virtual_address;
            query.source_port = connection.virtual_port;
        }
    }
    const auto way = find_way(query, context.hash);
    if (!way && context.from_host) {
        // The kernel knew a way that the engine does not: its layer-2 header is there.
        masquerade<F, Direction::reply>(context.packet, context.parsed, connection);
        worker_.output.transmit(context.port, context.packet);
        return true;
    }
    if (!way) {
        drop(context.packet, DropReason::no_route);
        return false;
    }
    const MtuVerdict verdict = check_mtu(context.parsed, way->mtu);
    if (verdict == MtuVerdict::too_big && !context.from_host) {
        reject<F>(context, IcmpError::reply_too_big, way->mtu, DropReason::too_big);
        return false;
    }
    masquerade<F, Direction::reply>(context.packet, context.parsed, connection);
    if (!context.from_host) decrement_ttl<F>(context.l3());
    connection.reply_adjacency = way->has_own_mtu ? AdjacencyId::none() : way->id;
    connection.reply_generation = generation;
    if (verdict == MtuVerdict::fits) {
        send_along(*way, context, context.parsed.l3_offset, F::family);
        return true;
    }
    FragmentTrain train;
    const std::uint32_t size = fragment_size(context.parsed, way->mtu);
    if (!cut(context.packet, context.parsed.l3_offset, F::family, size, train)) return true;
    for (std::size_t i = 0; i < train.size; ++i) {
        send_along(*way, context.with(train.packets[i]), 0, F::family);
    }
    return true;
}

template bool Transmit::reply_by_route<V4>(const PacketContext&, Connection<V4>&, std::uint16_t) noexcept;
template bool Transmit::reply_by_route<V6>(const PacketContext&, Connection<V6>&, std::uint16_t) noexcept;

bool Transmit::cut(
    rte_mbuf* packet, std::uint16_t l3_offset, net::Family family, PieceSizes sizes,
    FragmentTrain& train
) noexcept {
    const bool done =
        family == net::Family::inet
            ? fragment_ipv4(packet, l3_offset, sizes, train)
            : fragment_ipv6(
                  packet, l3_offset, sizes,
                  // Linux: ipv6_select_ident — nobody off the path can guess it (RFC 7739).
                  sip_hash(++worker_.fragmented, worker_.secret), train
              );
    if (done) {
        rte_pktmbuf_free(packet);
    } else {
        drop(packet, DropReason::too_big);
    }
    return done;
}

void Transmit::pieces_to_destination(
    const PacketContext& context, std::uint16_t l3_offset, net::Family family,
    const DestinationSlot& slot, PieceSizes sizes
) noexcept {
    if (slot.adjacency.load(std::memory_order_acquire) == nullptr) {
        return to_destination(context, l3_offset, family, slot);
    }
    FragmentTrain train;
    if (!cut(context.packet, l3_offset, family, sizes, train)) return;
    for (std::size_t i = 0; i < train.size; ++i) {
        to_destination(context.with(train.packets[i]), 0, family, slot);
    }
}

void Transmit::punt_in_pieces(const PacketContext& context) noexcept {
    const Parsed& parsed = context.parsed;
    std::array<std::byte, 64> l2;
    const std::size_t l2_length = std::min<std::size_t>(parsed.l3_offset, l2.size());
    std::memcpy(l2.data(), context.data(), l2_length);
    FragmentTrain train;
    if (!cut(context.packet, parsed.l3_offset, parsed.family, parsed.largest_fragment, train)) return;
    for (std::size_t i = 0; i < train.size; ++i) {
        char* to = rte_pktmbuf_prepend(train.packets[i], static_cast<std::uint16_t>(l2_length));
        std::memcpy(to, l2.data(), l2_length);
        worker_.output.punt(context.port, train.packets[i]);
    }
}

void Transmit::send_through(
    const TunnelWay& way, rte_mbuf* packet, std::uint16_t l3_offset, net::Family family
) noexcept {
    const std::byte* l3 = rte_pktmbuf_mtod_offset(packet, const std::byte*, l3_offset);
    Parsed inside;
    inside.l3_offset = l3_offset;
    inside.l3_length = family == net::Family::inet
                           ? net::header_at<Ipv4Header>(l3)->total_length.host()
                           : static_cast<std::uint16_t>(
                                 sizeof(Ipv6Header) +
                                 net::header_at<Ipv6Header>(l3)->payload_length.host()
                             );
    const Encapsulation how{0, worker_.outer_id};
    const bool done = family == net::Family::inet
                          ? encapsulate<V4>(packet, inside, way.header, how)
                          : encapsulate<V6>(packet, inside, way.header, how);
    if (!done) return drop(packet, DropReason::no_buffer);
    const net::Family outer = way.header.outer;
    if (const Adjacency* next = way.slot->node.load(std::memory_order_acquire)) [[likely]] {
        // A tunnel in a tunnel is the kernel's; control makes no such way.
        if (next->tunnel == nullptr) return send(packet, 0, outer, *next);
        return drop(packet, DropReason::no_route);
    }
    worker_.mailbox.want({way.interface, way.neighbour});
    const WaitingPacket waiting{packet, {way.interface, way.neighbour}, nullptr, outer, 0};
    worker_.waiting.hold(waiting, worker_.clock.read().ticks, worker_.counters);
}

void Transmit::send_in_pieces(
    rte_mbuf* packet, std::uint16_t l3_offset, net::Family family, const Adjacency& adjacency
) noexcept {
    FragmentTrain train;
    if (!cut(packet, l3_offset, family, adjacency.mtu, train)) return;
    for (std::size_t i = 0; i < train.size; ++i) send(train.packets[i], 0, family, adjacency);
}

}  // namespace nlvs::forwarding
