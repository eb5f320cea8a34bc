#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <cstring>

#include "compat/net/bytes.hpp"
#include "forwarding/connections/connection.hpp"
#include "forwarding/packet_context.hpp"
#include "forwarding/transmit/direct_route.hpp"
#include "forwarding/transmit/icmp_related.hpp"
#include "forwarding/transmit/icmp_reply.hpp"
#include "forwarding/transmit/masquerade.hpp"
#include "forwarding/transmit/tunnel.hpp"
#include "forwarding/worker_state.hpp"

namespace nlvs::forwarding {

/// Every way a packet leaves the pipeline. Each verb takes ownership of the packet.
/// Thread: its worker.
class Transmit {
public:
    Transmit(Shared& shared, WorkerState& worker) noexcept : shared_{shared}, worker_{worker} {}

    /// A request of a connection, by the connection's own method. Linux: ip_vs_xmit.c.
    template <class F>
    void request(const PacketContext& context, const Connection<F>& connection, const DestinationSlot& slot) noexcept {
        if (slot.local.load(std::memory_order_relaxed)) return request_to_host(context, connection);
        if (!may_be_forwarded(context.parsed)) [[unlikely]] {
            return reject<F>(context, IcmpError::time_exceeded, 0, DropReason::ttl_exceeded);
        }
        switch (connection.method()) {
            case ForwardingMethod::masquerade: {
                if (is_too_big<F>(context, slot)) return;
                masquerade<F, Direction::request>(context.packet, context.parsed, connection);
                decrement_ttl<F>(context.l3());
                return to_destination(context, context.parsed.l3_offset, F::family, slot);
            }
            case ForwardingMethod::direct_route: {
                if (is_too_big<F>(context, slot)) return;
                decrement_ttl<F>(context.l3());
                return to_destination(context, context.parsed.l3_offset, F::family, slot);
            }
            case ForwardingMethod::tunnel: return through_tunnel<F>(context, slot);
            case ForwardingMethod::local:
            case ForwardingMethod::bypass: break;
        }
        // Linux: a method without transmitter accepts the packet to the local stack.
        punt(context);
    }

    /// A reply of a masqueraded connection, to its client.
    template <class F>
    void reply(const PacketContext& context, Connection<F>& connection) noexcept {
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
        if (adjacency != nullptr &&
            check_mtu(context.parsed, adjacency->mtu) == MtuVerdict::too_big) [[unlikely]] {
            return reject<F>(context, IcmpError::too_big, adjacency->mtu, DropReason::too_big);
        }
        masquerade<F, Direction::reply>(context.packet, context.parsed, connection);
        decrement_ttl<F>(context.l3());
        if (adjacency != nullptr) [[likely]] {
            return send(context.packet, context.parsed.l3_offset, F::family, *adjacency);
        }
        connection.reply_adjacency = route(context, context.parsed.l3_offset, connection.client);
        connection.reply_generation = static_cast<std::uint16_t>(generation);
    }

    /// An ICMP error towards the real server, about a reply that the client did not take.
    template <class F>
    void related_request(
        const PacketContext& context, const Connection<F>& connection, const DestinationSlot& slot
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
        if (!may_be_forwarded(context.parsed)) return drop(context.packet, DropReason::ttl_exceeded);
        if (!masquerade_icmp_error<F, Direction::reply>(
                context.packet, context.parsed, connection
            )) {
            return drop(context.packet, DropReason::malformed);
        }
        decrement_ttl<F>(context.l3());
        route(context, context.parsed.l3_offset, connection.client);
    }

    /// Sends an ICMP error back to the packet's sender and drops the packet.
    template <class F>
    void reject(const PacketContext& context, IcmpError error, std::uint32_t mtu, DropReason reason) noexcept {
        const auto& key = context.parsed.template flow<F>();
        rte_mbuf* reply = worker_.icmp_errors.admit(error, context.now.tsc)
                              ? make_icmp_error<F>(context.packet, context.parsed, error, mtu, key.destination)
                              : nullptr;
        if (reply != nullptr) {
            const PacketContext answer{
                reply, context.parsed, context.settings, 0, context.port, false, context.now
            };
            route(answer, 0, key.source);
        }
        drop(context.packet, reason);
    }

    /// To the kernel, through the shadow interface of the port it came from.
    void punt(const PacketContext& context) noexcept {
        const PuntClass punt_class = classify_punt(context.data(), context.packet->data_len, context.parsed);
        if (!worker_.policer.admit(punt_class, context.now.tsc)) {
            return drop(context.packet, DropReason::punt_policed);
        }
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
        worker_.output.transmit(adjacency.port, packet);
    }

private:
    static constexpr net::Be16 ethertype_ipv4{std::uint16_t{0x0800}};
    static constexpr net::Be16 ethertype_ipv6{std::uint16_t{0x86DD}};

    /// True if the packet does not fit and has been answered. A packet that may be fragmented
    /// passes: it is cut on its way out.
    template <class F>
    bool is_too_big(const PacketContext& context, const DestinationSlot& slot) noexcept {
        const std::uint32_t mtu = slot.route_mtu.load(std::memory_order_relaxed);
        if (check_mtu(context.parsed, mtu) != MtuVerdict::too_big) [[likely]] return false;
        reject<F>(context, IcmpError::too_big, mtu, DropReason::too_big);
        return true;
    }

    template <class F>
    void request_to_host(const PacketContext& context, const Connection<F>& connection) noexcept {
        if (connection.method() == ForwardingMethod::masquerade) {
            masquerade<F, Direction::request>(context.packet, context.parsed, connection);
        }
        punt(context);
    }

    /// Linux: ip_vs_xmit.c ip_vs_tunnel_xmit.
    template <class F>
    void through_tunnel(const PacketContext& context, const DestinationSlot& slot) noexcept {
        const TunnelHeader* header = slot.tunnel.load(std::memory_order_acquire);
        if (header == nullptr) [[unlikely]] {
            return reject<F>(context, IcmpError::host_unreachable, 0, DropReason::no_route);
        }
        const bool discovery = context.settings.sysctls.pmtu_disc != 0;
        const std::uint32_t mtu = slot.route_mtu.load(std::memory_order_relaxed);
        switch (check_tunnel_mtu(context.parsed, *header, mtu, discovery)) {
            case MtuVerdict::fits:
            case MtuVerdict::fragment: break;
            case MtuVerdict::too_big:
                return reject<F>(
                    context, IcmpError::too_big, tunnel_mtu(*header, mtu), DropReason::too_big
                );
            case MtuVerdict::drop: return drop(context.packet, DropReason::too_big);
        }
        decrement_ttl<F>(context.l3());
        if (!encapsulate<F>(
                context.packet, context.parsed, *header, {context.hash, worker_.outer_id, discovery}
            )) [[unlikely]] {
            return drop(context.packet, DropReason::no_buffer);
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

    /// A packet larger than the link: one that arrived in fragments, or grew by a tunnel header.
    void send_in_pieces(
        rte_mbuf* packet, std::uint16_t l3_offset, net::Family family, const Adjacency& adjacency
    ) noexcept;

    /// Routes by `to`; returns the adjacency slot worth remembering, or none.
    AdjacencyId route(const PacketContext& context, std::uint16_t l3_offset, const net::IpAddress& to) noexcept;

    void hold(const PacketContext& context, std::uint16_t l3_offset, WaitingPacket waiting) noexcept {
        rte_pktmbuf_adj(context.packet, l3_offset);
        waiting.packet = context.packet;
        waiting.deadline = context.now.ticks + NeighbourQueue::patience;
        worker_.waiting.hold(waiting, worker_.counters);
    }

    Shared& shared_;
    WorkerState& worker_;
};

}  // namespace nlvs::forwarding
