#include "forwarding/transmit/transmit.hpp"

#include "forwarding/route_query.hpp"
#include "forwarding/transmit/fragment.hpp"

namespace nlvs::forwarding {

AdjacencyId Transmit::route(
    const PacketContext& context, std::uint16_t l3_offset, const net::IpAddress& to
) noexcept {
    const Configuration& configuration = shared_.configuration;
    const RoutingPolicy& policy = to.is_v4() ? configuration.routes_v4 : configuration.routes_v6;
    RouteQuery query;
    query.destination = to;
    if (policy.selective()) [[unlikely]] describe_output(*context.packet, l3_offset, query);
    const Route* route = policy.lookup(query);
    if (route == nullptr) {
        drop(context.packet, DropReason::no_route);
        return AdjacencyId::none();
    }
    const NextHop& hop = route->pick(static_cast<std::uint32_t>(context.hash >> 32));
    if (hop.type != NextHop::Type::unicast) {
        drop(context.packet, DropReason::no_route);
        return AdjacencyId::none();
    }
    const NeighbourKey key{hop.interface, hop.on_link ? to : hop.via};
    const Neighbour* neighbour = configuration.neighbours.find(key);
    const Adjacency* adjacency =
        neighbour == nullptr ? nullptr : neighbour->slot->node.load(std::memory_order_acquire);
    if (adjacency == nullptr) {
        worker_.mailbox.want({key.interface, key.address});
        hold(context, l3_offset, {nullptr, key, nullptr, to.family(), 0});
        return AdjacencyId::none();
    }
    send(context.packet, l3_offset, to.family(), *adjacency);
    return neighbour->adjacency;
}

void Transmit::send_in_pieces(
    rte_mbuf* packet, std::uint16_t l3_offset, net::Family family, const Adjacency& adjacency
) noexcept {
    FragmentTrain train;
    const bool cut = family == net::Family::inet
                         ? fragment_ipv4(packet, l3_offset, adjacency.mtu, train)
                         : fragment_ipv6(packet, l3_offset, adjacency.mtu, ++worker_.outer_id, train);
    if (!cut) return drop(packet, DropReason::too_big);
    for (std::size_t i = 0; i < train.size; ++i) send(train.packets[i], 0, family, adjacency);
    rte_pktmbuf_free(packet);
}

}  // namespace nlvs::forwarding
