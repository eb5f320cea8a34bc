/// The pipeline's part for ICMP errors. Linux: ip_vs_core.c ip_vs_in_icmp, ip_vs_out_icmp.

#include <cstring>
#include <optional>

#include "forwarding/packet/headers/icmp.hpp"
#include "forwarding/packet/transport_checksum.hpp"
#include "forwarding/pipeline.hpp"
#include "forwarding/transmit/tunnel_error.hpp"

namespace nlvs::forwarding {
namespace {

/// Makes a frame of an IP packet, for the parser's eyes. Null if there is no room.
std::optional<Parsed> parse_as_frame(rte_mbuf* packet, net::Family family) noexcept {
    constexpr std::size_t ether_type = 12;
    constexpr std::uint16_t l2_length = 14;
    auto* l2 = static_cast<std::byte*>(
        static_cast<void*>(rte_pktmbuf_prepend(packet, l2_length))
    );
    if (l2 == nullptr) return std::nullopt;
    std::memset(l2, 0, ether_type);
    const std::uint16_t type = family == net::Family::inet ? 0x0800 : 0x86DD;
    net::store(l2 + ether_type, net::Be16{type});
    return parse({l2, packet->data_len}, packet->pkt_len);
}

}  // namespace

/// An error about a packet of a connection follows that packet's way back. Seen from its embedded
/// packet's other end it is a request (about a reply) or a reply (about a request). Timers are not
/// refreshed.
template <class F>
void Pipeline::forward_icmp_error(const PacketContext& context) noexcept {
    const FlowKey<F> key = context.parsed.template flow<F>().inverted();
    const auto found = worker_.connections<F>().find(key);
    if (!found) {
        if (F::family == net::Family::inet && relay_tunnel_error(context)) return;
        const Service* service = find_service<F>(key, 0);
        const WorkerId owner = owner_of<F>(key, service);
        if (owner != worker_.id && !context.taken_over) {
            return give_to(owner, context);
        }
        if (context.settings.sysctls.schedule_icmp != 0 && service != nullptr &&
            schedule_icmp<F>(context, key, *service)) {
            return;
        }
        return pass_on(context);
    }
    Connection<F>& connection = *found.connection;
    if (found.direction == Direction::request) return related_to_request<F>(context, connection);
    if (connection.method() != ForwardingMethod::masquerade) return pass_on(context);
    worker_.counters.destinations[connection.destination_id.value].count_out(
        1, context.parsed.l3_length
    );
    transmit_.related_reply(context, connection);
}

template <class F>
void Pipeline::related_to_request(const PacketContext& context, Connection<F>& connection) noexcept {
    worker_.counters.destinations[connection.destination_id.value].count_in(
        1, context.parsed.l3_length
    );
    transmit_.related_request(context, connection, lifecycle_.destination(connection.destination_id));
}

/// An error about a reply of a connection that another director, or this one before a restart,
/// knew: it opens the connection and follows it. True if the packet has been dealt with.
/// Linux: ip_vs_core.c ip_vs_try_to_schedule with sysctl schedule_icmp; its inverse header has no
/// flags, so every error of a transport may open.
template <class F>
bool Pipeline::schedule_icmp(
    const PacketContext& context, const FlowKey<F>& key, const Service& service
) noexcept {
    constexpr std::uint16_t ftp_data = 20;
    const bool has_ports = key.protocol == static_cast<std::uint8_t>(net::IpProtocol::tcp) ||
                           key.protocol == static_cast<std::uint8_t>(net::IpProtocol::udp) ||
                           key.protocol == static_cast<std::uint8_t>(net::IpProtocol::sctp);
    if (!has_ports || key.source_port.host() == ftp_data || !is_local<F>(key.destination)) return false;
    Parsed about = context.parsed;
    about.protocol = key.protocol;
    if constexpr (F::family == net::Family::inet) {
        about.flow4 = key;
    } else {
        about.flow6 = key;
    }
    const PacketContext request{
        context.packet, about, context.settings, context.hash, context.port, context.taken_over,
        context.now
    };
    Connection<F> one_packet{};
    const auto opened = lifecycle_.open<F>(request, service, one_packet);
    if (opened.connection == nullptr) {
        transmit_.drop(context.packet, DropReason::no_destination);
        return true;
    }
    related_to_request<F>(context, *opened.connection);
    if (opened.connection == &one_packet) lifecycle_.unbind(one_packet);
    return true;
}

/// An error about a packet that this director sent through a tunnel is an error about the packet
/// inside, and its client is told so. True if the packet has been dealt with.
/// Linux: ip_vs_core.c ip_vs_in_icmp, ip_vs_find_tunnel; IPv4 in IPv4 only.
bool Pipeline::relay_tunnel_error(const PacketContext& context) noexcept {
    const auto about = find_tunnelled(
        {rte_pktmbuf_mtod(context.packet, const std::byte*), context.packet->data_len}, context.parsed
    );
    if (!about) return false;
    const auto found = worker_.connections_v4.find(about->flow);
    if (!found) {
        const WorkerId owner = shared_.steering.owner(about->flow.source, about->flow.source_port);
        if (owner == worker_.id || context.taken_over || find_service<V4>(about->flow, 0) == nullptr) {
            return false;
        }
        give_to(owner, context);
        return true;
    }
    DestinationSlot& slot = lifecycle_.destination(found.connection->destination_id);
    const TunnelHeader* tunnel = slot.tunnel.load(std::memory_order_acquire);
    if (found.direction != Direction::request || tunnel == nullptr ||
        tunnel->tunnel.type != about->type || slot.address != net::IpAddress{about->server}) {
        return false;
    }
    if (!has_valid_transport_checksum(context.packet, context.parsed)) {
        transmit_.drop(context.packet, DropReason::malformed);
        return true;
    }
    worker_.counters.destinations[found.connection->destination_id.value].count_out(
        1, static_cast<std::uint64_t>(context.parsed.l3_offset) + context.parsed.l3_length - about->l3_offset
    );
    transmit_.relay_tunnel_error(context, *about, slot);
    return true;
}

/// A packet has waited for a neighbour in vain: its sender hears of it.
void Pipeline::give_up(rte_mbuf* packet, net::Family family, Time now) noexcept {
    if (const auto parsed = parse_as_frame(packet, family)) {
        if (family == net::Family::inet) {
            report_unreachable<V4>(packet, *parsed, now);
        } else {
            report_unreachable<V6>(packet, *parsed, now);
        }
    }
    rte_pktmbuf_free(packet);
}

/// The error is about the packet as it would have left, rewritten, and is then treated as IPVS treats
/// the host's own errors. To a client: if it was masqueraded, the error is translated back (LOCAL_OUT).
/// To the host, as whose packet an answer or a tunnel packet left: it is about a connection (LOCAL_IN).
/// Linux: arp.c arp_error_report, ndisc.c ndisc_error_report, ip_vs_core.c ip_vs_out_icmp.
template <class F>
void Pipeline::report_unreachable(const rte_mbuf* packet, const Parsed& parsed, Time now) noexcept {
    constexpr IcmpError unreachable = IcmpError::host_unreachable;
    if (parsed.kind == PacketKind::icmp_error || parsed.kind == PacketKind::malformed) return;
    const auto& flow = parsed.template flow<F>();
    const bool to_host = is_local<F>(flow.source);
    // Linux: icmp6_send speaks by an address of the host that the packet was for, __icmp_send does not
    // when the packet has been routed on.
    const bool as_receiver = F::family == net::Family::inet6 && is_local<F>(flow.destination);
    typename F::Address buffer;
    const typename F::Address* source = to_host       ? &flow.source
                                        : as_receiver ? &flow.destination
                                                      : transmit_.address_towards<F>(flow.source, buffer);
    if (source == nullptr || (!to_host && !worker_.icmp_errors.admit(unreachable, now.tsc))) return;
    rte_mbuf* error = make_icmp_error<F>(packet, parsed, unreachable, 0, *source);
    if (error == nullptr) return;
    const auto about = parse_as_frame(error, F::family);
    if (!about) return rte_pktmbuf_free(error);
    const PacketContext context{
        error, *about, *shared_.configuration.settings.current(), 0, PortIndex{0}, true, now, true
    };
    const auto found = about->kind == PacketKind::icmp_error
                           ? worker_.connections<F>().find(about->template flow<F>().inverted())
                           : Found<F>{};
    if (to_host) {
        if (found && found.direction == Direction::request) {
            return related_to_request<F>(context, *found.connection);
        }
        const bool may_be_tunnelled =
            F::family == net::Family::inet && about->kind == PacketKind::icmp_error;
        if (!may_be_tunnelled || !relay_tunnel_error(context)) rte_pktmbuf_free(error);
        return;
    }
    const bool translated = found && found.direction == Direction::reply &&
                            found.connection->method() == ForwardingMethod::masquerade;
    if (!translated) return transmit_.route(context, about->l3_offset, flow.source);
    worker_.counters.destinations[found.connection->destination_id.value].count_out(
        1, about->l3_length
    );
    transmit_.related_reply(context, *found.connection);
}

template void Pipeline::forward_icmp_error<V4>(const PacketContext&) noexcept;
template void Pipeline::forward_icmp_error<V6>(const PacketContext&) noexcept;

}  // namespace nlvs::forwarding
