#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <cstring>
#include <optional>

#include "compat/net/bytes.hpp"
#include "forwarding/connections/connection.hpp"
#include "forwarding/packet_context.hpp"
#include "forwarding/transmit/bond.hpp"
#include "forwarding/transmit/direct_route.hpp"
#include "forwarding/transmit/fragment.hpp"
#include "forwarding/transmit/icmp_related.hpp"
#include "forwarding/transmit/icmp_reply.hpp"
#include "forwarding/transmit/masquerade.hpp"
#include "forwarding/transmit/tunnel.hpp"
#include "forwarding/transmit/tunnel_error.hpp"
#include "forwarding/worker_state.hpp"

namespace nlvs::forwarding {

/// Every way a packet leaves the pipeline. Each verb takes ownership of the packet.
/// Thread: its worker.
class Transmit {
public:
    Transmit(Shared& shared, WorkerState& worker) noexcept : shared_{shared}, worker_{worker} {}

    /// A request of a connection, by the connection's own method. Linux: ip_vs_xmit.c.
    template <class F>
    [[gnu::always_inline]] void request(
        const PacketContext& context, const Connection<F>& connection, DestinationSlot& slot
    ) noexcept {
        if (slot.local.load(std::memory_order_relaxed)) return request_to_host(context, connection);
        // Linux: ip_vs_xmit.c __ip_vs_get_out_rt — before anything of the packet has changed.
        if (slot.adjacency.load(std::memory_order_relaxed) == nullptr) [[unlikely]] {
            if (connection.method() == ForwardingMethod::bypass) return bypass<F>(context);
            return reject<F>(context, IcmpError::host_unreachable, 0, DropReason::no_route);
        }
        if (!may_be_forwarded(context.parsed)) [[unlikely]] {
            return reject<F>(context, IcmpError::time_exceeded, 0, DropReason::ttl_exceeded);
        }
        switch (connection.method()) {
            case ForwardingMethod::masquerade:
            case ForwardingMethod::direct_route: {
                const std::uint32_t mtu = slot.route_mtu.load(std::memory_order_relaxed);
                const MtuVerdict verdict = check_mtu(context.parsed, mtu);
                if (verdict == MtuVerdict::too_big) [[unlikely]] {
                    return reject<F>(context, IcmpError::too_big, mtu, DropReason::too_big);
                }
                if (connection.method() == ForwardingMethod::masquerade) {
                    masquerade<F, Direction::request>(context.packet, context.parsed, connection);
                }
                decrement_ttl<F>(context.l3());
                if (verdict == MtuVerdict::fragment) [[unlikely]] {
                    const std::uint32_t size = fragment_size(context.parsed, mtu);
                    return pieces_to_destination(context, context.parsed.l3_offset, F::family, slot, size);
                }
                return to_destination(context, context.parsed.l3_offset, F::family, slot);
            }
            case ForwardingMethod::tunnel: return through_tunnel<F>(context, slot);
            case ForwardingMethod::local:
            case ForwardingMethod::bypass: break;
        }
        // Linux: a method without transmitter accepts the packet to the local stack.
        punt(context);
    }

    /// A reply of a masqueraded connection, to its client. False if it did not get as far as
    /// IPVS: in Linux a packet without a way, or too big for it, ends before the FORWARD hook.
    template <class F>
    bool reply(const PacketContext& context, Connection<F>& connection) noexcept {
        const Configuration& configuration = shared_.configuration;
        const std::uint32_t generation =
            configuration.routing_generation.load(std::memory_order_acquire);
        const Adjacency* adjacency = nullptr;
        if (connection.reply_generation == static_cast<std::uint16_t>(generation) &&
            !connection.reply_adjacency.is_none()) [[likely]] {
            adjacency = configuration.adjacencies[connection.reply_adjacency.value].node.load(
                std::memory_order_acquire
            );
        }
        if (adjacency == nullptr ||
            check_mtu(context.parsed, adjacency->mtu) != MtuVerdict::fits) [[unlikely]] {
            return reply_by_route(context, connection, static_cast<std::uint16_t>(generation));
        }
        masquerade<F, Direction::reply>(context.packet, context.parsed, connection);
        decrement_ttl<F>(context.l3());
        send(context.packet, context.parsed.l3_offset, F::family, *adjacency);
        return true;
    }

    /// The same with a look at the routes: for a first reply, one that does not fit, and one of a
    /// real server that is the host. The next hop is remembered in the connection unless the
    /// route has an MTU of its own, which the next hop does not know.
    template <class F>
    bool reply_by_route(
        const PacketContext& context, Connection<F>& connection, std::uint16_t generation
    ) noexcept;

    /// An ICMP error towards the real server, about a reply that the client did not take.
    template <class F>
    void related_request(
        const PacketContext& context, const Connection<F>& connection, DestinationSlot& slot
    ) noexcept {
        if (connection.method() != ForwardingMethod::masquerade) {
            return request(context, connection, slot);
        }
        if (!masquerade_icmp_error<F, Direction::request>(
                context.packet, context.parsed, connection
            )) {
            return drop(context.packet, DropReason::malformed);
        }
        if (slot.local.load(std::memory_order_relaxed)) return punt(context);
        if (!may_be_forwarded(context.parsed)) return drop(context.packet, DropReason::ttl_exceeded);
        decrement_ttl<F>(context.l3());
        to_destination(context, context.parsed.l3_offset, F::family, slot);
    }

    /// An ICMP error towards the client, about a request that the real server did not take.
    template <class F>
    void related_reply(const PacketContext& context, const Connection<F>& connection) noexcept {
        if (!context.from_host && !may_be_forwarded(context.parsed)) {
            return drop(context.packet, DropReason::ttl_exceeded);
        }
        if (!masquerade_icmp_error<F, Direction::reply>(
                context.packet, context.parsed, connection
            )) {
            return drop(context.packet, DropReason::malformed);
        }
        if (!context.from_host) decrement_ttl<F>(context.l3());
        route(context, context.parsed.l3_offset, connection.client);
    }

    /// Sends an ICMP error back to the packet's sender and drops the packet.
    template <class F>
    void reject(
        const PacketContext& context, IcmpError error, std::uint32_t mtu, DropReason reason
    ) noexcept;

    /// Sends by the route to `to`, or drops.
    void route(const PacketContext& context, std::uint16_t l3_offset, const net::IpAddress& to) noexcept;

    /// By which address the host speaks to `peer` of its own accord; null if by none.
    template <class F>
    const typename F::Address* address_towards(
        const typename F::Address& peer, typename F::Address& buffer
    ) const noexcept;

    /// Tells the client of a request what a router on the way to its tunnel's end said about it.
    /// The error itself, in `context`, has been understood and ends here.
    void relay_tunnel_error(
        const PacketContext& context, const Tunnelled& about, DestinationSlot& slot
    ) noexcept;

    /// To the kernel, through the shadow interface of the port it came from.
    void punt(const PacketContext& context) noexcept {
        const PuntClass punt_class = classify_punt(
            context.data(), context.packet->data_len, context.parsed, shared_.host_flows,
            context.now.ticks
        );
        if (!worker_.policer.admit(punt_class, context.now.tsc)) {
            return drop(context.packet, DropReason::punt_policed);
        }
        if (context.parsed.largest_fragment != 0) [[unlikely]] return punt_in_pieces(context);
        worker_.output.punt(context.port, context.packet);
    }

    void drop(rte_mbuf* packet, DropReason reason) noexcept {
        worker_.counters.drop(reason);
        rte_pktmbuf_free(packet);
    }

    /// Prepends the layer-2 header and queues the packet; `l3_offset` bytes are cut off before.
    void send(rte_mbuf* packet, std::uint16_t l3_offset, net::Family family, const Adjacency& adjacency) noexcept {
        if (packet->pkt_len - l3_offset > adjacency.mtu) [[unlikely]] {
            return send_in_pieces(packet, l3_offset, family, adjacency);
        }
        if (adjacency.tunnel != nullptr) [[unlikely]] {
            return send_through(*adjacency.tunnel, packet, l3_offset, family);
        }
        const int surplus = static_cast<int>(l3_offset) - static_cast<int>(adjacency.l2_length);
        packet->data_off = static_cast<std::uint16_t>(packet->data_off + surplus);
        packet->data_len = static_cast<std::uint16_t>(packet->data_len - surplus);
        packet->pkt_len = packet->pkt_len - static_cast<std::uint32_t>(surplus);
        auto* l2 = rte_pktmbuf_mtod(packet, std::byte*);
        // 14, 18 or 22 bytes: two overlapping moves, and a third for tags.
        const std::byte* header = adjacency.l2.data();
        const std::size_t length = adjacency.l2_length;
        net::store(l2, net::load<std::uint64_t>(header));
        if (length > 16) net::store(l2 + 8, net::load<std::uint64_t>(header + 8));
        net::store(l2 + length - 8, net::load<std::uint64_t>(header + length - 8));
        net::store(l2 + length - 2, family == net::Family::inet ? ethertype_ipv4 : ethertype_ipv6);
        PortIndex port = adjacency.port;
        if (adjacency.spread != Spread::none) [[unlikely]] {
            port = bond_member(adjacency, family, l2, packet->data_len, worker_.turn);
        }
        worker_.output.transmit(port, packet);
    }

private:
    static constexpr net::Be16 ethertype_ipv4{std::uint16_t{0x0800}};
    static constexpr net::Be16 ethertype_ipv6{std::uint16_t{0x86DD}};

    /// The real server is the host itself: with masquerading under the address of the destination,
    /// which must not be a loopback one, otherwise under the virtual address.
    /// Linux: ip_vs_xmit.c ip_vs_nat_xmit ("stopping DNAT to loopback address"), ip_vs_dr_xmit.
    template <class F>
    void request_to_host(const PacketContext& context, const Connection<F>& connection) noexcept {
        if (connection.method() == ForwardingMethod::masquerade) {
            if (is_loopback(connection.destination)) {
                return drop(context.packet, DropReason::loopback_destination);
            }
            masquerade<F, Direction::request>(context.packet, context.parsed, connection);
        }
        punt(context);
    }

    /// By the route to where the packet says. Linux: ip_vs_xmit.c ip_vs_bypass_xmit.
    template <class F>
    void bypass(const PacketContext& context) noexcept;

    /// Linux: ip_vs_xmit.c ip_vs_tunnel_xmit.
    template <class F>
    void through_tunnel(const PacketContext& context, DestinationSlot& slot) noexcept {
        const TunnelHeader* header = slot.tunnel.load(std::memory_order_acquire);
        if (header == nullptr) [[unlikely]] {
            return reject<F>(context, IcmpError::host_unreachable, 0, DropReason::no_route);
        }
        if (slot.mtu_until.load(std::memory_order_relaxed) != 0) [[unlikely]] {
            slot.forget_mtu(context.now.ticks);
        }
        const bool discovery = context.settings.sysctls.pmtu_disc != 0;
        const std::uint32_t mtu = slot.route_mtu.load(std::memory_order_relaxed);
        const std::uint32_t left = mtu - option_length(*context.packet, context.parsed, *header);
        switch (check_tunnel_mtu(context.parsed, *header, left, discovery)) {
            case MtuVerdict::fits:
            case MtuVerdict::fragment: break;
            case MtuVerdict::too_big:
                return reject<F>(
                    context, IcmpError::too_big, tunnel_mtu(*header, left), DropReason::too_big
                );
            case MtuVerdict::drop: return drop(context.packet, DropReason::too_big);
        }
        decrement_ttl<F>(context.l3());
        if (!encapsulate<F>(
                context.packet, context.parsed, *header, {context.hash, worker_.outer_id, discovery}
            )) [[unlikely]] {
            return drop(context.packet, DropReason::no_buffer);
        }
        const PieceSizes sizes = outer_fragment_sizes(context.parsed, *header, mtu);
        if (context.packet->pkt_len > sizes.others) [[unlikely]] {
            return pieces_to_destination(context, 0, header->outer, slot, sizes);
        }
        to_destination(context, 0, header->outer, slot);
    }

    void to_destination(
        const PacketContext& context, std::uint16_t l3_offset, net::Family family, const DestinationSlot& slot
    ) noexcept {
        const AdjacencySlot* neighbour = slot.adjacency.load(std::memory_order_acquire);
        if (neighbour == nullptr) [[unlikely]] {
            return family == net::Family::inet
                       ? reject<V4>(context, IcmpError::host_unreachable, 0, DropReason::no_route)
                       : reject<V6>(context, IcmpError::host_unreachable, 0, DropReason::no_route);
        }
        if (const Adjacency* adjacency = neighbour->node.load(std::memory_order_acquire)) [[likely]] {
            return send(context.packet, l3_offset, family, *adjacency);
        }
        hold(context, l3_offset, {nullptr, {}, &slot, family, 0});
    }

    /// The same in pieces: for a packet that arrived in fragments, may be
    /// fragmented, or grew by a tunnel header.
    void pieces_to_destination(
        const PacketContext& context, std::uint16_t l3_offset, net::Family family,
        const DestinationSlot& slot, PieceSizes sizes
    ) noexcept;

    /// Into a tunnel device, and on to where that leads.
    void send_through(
        const TunnelWay& way, rte_mbuf* packet, std::uint16_t l3_offset, net::Family family
    ) noexcept;

    /// A packet that waited for its neighbour and is larger than the link.
    void send_in_pieces(
        rte_mbuf* packet, std::uint16_t l3_offset, net::Family family, const Adjacency& adjacency
    ) noexcept;

    /// Cuts a packet and frees it; the pieces begin at their IP header. False if it cannot be cut.
    bool cut(
        rte_mbuf* packet, std::uint16_t l3_offset, net::Family family, PieceSizes sizes,
        FragmentTrain& train
    ) noexcept;

    /// A reassembled packet goes to the kernel in pieces as large as those it came in: the shadow
    /// interface takes no more than its MTU.
    void punt_in_pieces(const PacketContext& context) noexcept;

    /// From whom an error about the packet comes: its receiver if that is the host, otherwise the
    /// host on the way back to its sender.
    template <class F>
    const typename F::Address* error_source(const PacketContext& context, typename F::Address& buffer) noexcept;

    /// Where a packet goes that the routing table decides about.
    struct Way {
        const Adjacency* adjacency = nullptr;  ///< null while the neighbour is unresolved
        NeighbourKey neighbour;
        AdjacencyId id;
        std::uint32_t mtu = 0;     ///< the most there is while it is not known
        bool has_own_mtu = false;  ///< the route's, not the link's
    };

    std::optional<Way> find_way(const RouteQuery& query, std::uint64_t hash) const noexcept;

    void send_along(
        const Way& way, const PacketContext& context, std::uint16_t l3_offset, net::Family family
    ) noexcept;

    void hold(const PacketContext& context, std::uint16_t l3_offset, WaitingPacket waiting) noexcept {
        rte_pktmbuf_adj(context.packet, l3_offset);
        waiting.packet = context.packet;
        worker_.waiting.hold(waiting, context.now.ticks, worker_.counters);
    }

    Shared& shared_;
    WorkerState& worker_;
};

}  // namespace nlvs::forwarding
