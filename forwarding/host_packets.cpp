/// The pipeline's part for packets that the host sends: a real server may be the host itself.
/// Linux sees its answers in the LOCAL_OUT hook, before they are routed; here they come out of the
/// shadow interface. Linux: ip_vs_core.c ip_vs_out_hook, handle_response.

#include "forwarding/packet/partial_checksum.hpp"
#include "forwarding/pipeline.hpp"

namespace nlvs::forwarding {

void Pipeline::run_injected(PortIndex port, rte_mbuf** packets, unsigned count, Time now) noexcept {
    worker_.counters.ports[port].injected.add(count);
    for (unsigned i = 0; i < count; ++i) forward_from_host(port, packets[i], false, now);
    worker_.outgoing.flush(shared_.hand_over, worker_.counters);
}

void Pipeline::forward_from_host(
    PortIndex port, rte_mbuf* packet, bool taken_over, Time now
) noexcept {
    const Settings& settings = *shared_.configuration.settings.current();
    const Parsed parsed =
        parse({rte_pktmbuf_mtod(packet, std::byte*), packet->data_len}, packet->pkt_len);
    const bool transport = parsed.kind == PacketKind::transport;
    if (transport && !taken_over) shared_.host_flows.sent(parsed, now.ticks);
    if (!shared_.configuration.serves_locally.load(std::memory_order_relaxed) ||
        (!transport && parsed.kind != PacketKind::icmp_error)) {
        return worker_.output.transmit(port, packet);
    }
    if (shared_.ports[port].partial_checksums && !taken_over) {
        complete_partial_checksum(packet, parsed);
    }
    const bool v4 = parsed.family == net::Family::inet;
    const std::uint64_t hash = v4 ? worker_.connections_v4.hash_of(parsed.flow4)
                                  : worker_.connections_v6.hash_of(parsed.flow6);
    const PacketContext context{packet, parsed, settings, hash, port, taken_over, now, true};
    return v4 ? reply_of_host<V4>(context) : reply_of_host<V6>(context);
}

/// An answer, or an ICMP error about a request, of a server that is the host.
template <class F>
void Pipeline::reply_of_host(const PacketContext& context) noexcept {
    const bool is_error = context.parsed.kind == PacketKind::icmp_error;
    const auto& seen = context.parsed.template flow<F>();
    const FlowKey<F> key = is_error ? seen.inverted() : seen;
    const auto found = worker_.connections<F>().find(key);
    if (!found) {
        const WorkerId owner = shared_.steering.owner(key.destination, key.destination_port);
        if (owner == worker_.id || context.taken_over) {
            if (shared_.expected.count() != 0 && begin_expected<F>(context)) return;
            return worker_.output.transmit(context.port, context.packet);
        }
        return worker_.outgoing.add(
            owner, context.port | HandOverBatch::from_host, context.packet, shared_.hand_over,
            worker_.counters
        );
    }
    if (found.direction == Direction::request) {
        return worker_.output.transmit(context.port, context.packet);
    }
    Connection<F>& connection = *found.connection;
    if (connection.has(ConnectionFlags::application) && !is_error) {
        Parsed parsed = context.parsed;
        if (!hear_server<F>(context, connection, parsed)) return;
        return return_reply_of_host<F>(context.with(parsed), connection);
    }
    return_reply_of_host<F>(context, connection);
}

template <class F>
void Pipeline::return_reply_of_host(const PacketContext& context, Connection<F>& connection) noexcept {
    const bool is_error = context.parsed.kind == PacketKind::icmp_error;
    worker_.counters.destinations[connection.destination_id.value].count_out(
        1, context.parsed.l3_length
    );
    if (!is_error) {
        connection.flags &= static_cast<std::uint16_t>(~ConnectionFlags::no_output);
        lifecycle_.advance(context, connection, Direction::reply);
    }
    if (connection.method() != ForwardingMethod::masquerade) {
        return worker_.output.transmit(context.port, context.packet);
    }
    if (is_error) return transmit_.related_reply(context, connection);
    transmit_.reply_by_route(
        context, connection,
        static_cast<std::uint16_t>(
            shared_.configuration.routing_generation.load(std::memory_order_acquire)
        )
    );
}

template void Pipeline::reply_of_host<V4>(const PacketContext&) noexcept;
template void Pipeline::reply_of_host<V6>(const PacketContext&) noexcept;

}  // namespace nlvs::forwarding
