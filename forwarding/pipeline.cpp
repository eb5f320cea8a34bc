#include "forwarding/pipeline.hpp"

#include <rte_prefetch.h>

#include <array>

#include "forwarding/packet/partial_checksum.hpp"
#include "forwarding/packet/unicast.hpp"
#include "forwarding/route_query.hpp"

namespace nlvs::forwarding {

void Pipeline::run(PortIndex port, rte_mbuf** packets, unsigned count, Time now) noexcept {
    std::array<PortIndex, burst_size> ports;
    ports.fill(port);
    worker_.counters.ports[port].received.add(count);
    run_burst(packets, ports.data(), count, false, now);
}

void Pipeline::run_taken_over(rte_mbuf** packets, unsigned count, Time now) noexcept {
    std::array<PortIndex, burst_size> ports;
    worker_.counters.taken_over.add(count);
    unsigned from_nic = 0;
    for (unsigned i = 0; i < count; ++i) {
        ports[from_nic] = HandOverBatch::port_of(*packets[i]);
        if ((packets[i]->port & HandOverBatch::from_host) != 0) [[unlikely]] {
            forward_from_host(ports[from_nic], packets[i], true, now);
        } else {
            packets[from_nic++] = packets[i];
        }
    }
    run_burst(packets, ports.data(), from_nic, true, now);
}

void Pipeline::run_burst(
    rte_mbuf** packets, const PortIndex* ports, unsigned count, bool taken_over, Time now
) noexcept {
    const Settings& settings = *shared_.configuration.settings.current();
    // Linux: ip_vs_core.c ip_vs_register_hooks — without a service of the family IPVS sees no packet,
    // those of connections that are left included. What is no transport may be a tunnel's, and the
    // family inside another.
    const Configuration& configuration = shared_.configuration;
    const bool serves_v4 = configuration.serves(net::Family::inet);
    const bool serves_v6 = configuration.serves(net::Family::inet6);
    const auto is_for_ipvs = [&](const Parsed& packet) {
        const bool served = packet.family == net::Family::inet ? serves_v4 : serves_v6;
        return !settings.passive && (served || packet.kind == PacketKind::other);
    };
    const std::uint64_t station = configuration.ports[ports[0]].mac.load(std::memory_order_relaxed);
    const std::uint64_t mask = station == 0 ? 0 : station_mask;
    std::array<Parsed, burst_size>& parsed = burst_.parsed;
    std::array<std::uint64_t, burst_size>& hashes = burst_.hashes;
    for (unsigned i = 0; i < count; ++i) rte_prefetch0(rte_pktmbuf_mtod(packets[i], void*));
    for (unsigned i = 0; i < count; ++i) {
        rte_mbuf& packet = *packets[i];
        parse({rte_pktmbuf_mtod(&packet, std::byte*), packet.data_len}, packet.pkt_len, parsed[i]);
        if (parsed[i].kind != PacketKind::transport) continue;
        if (parsed[i].family == net::Family::inet) {
            hashes[i] = worker_.connections_v4.hash_of(parsed[i].flow4);
            worker_.connections_v4.prefetch_bucket(hashes[i]);
        } else {
            hashes[i] = worker_.connections_v6.hash_of(parsed[i].flow6);
            worker_.connections_v6.prefetch_bucket(hashes[i]);
        }
    }
    for (unsigned i = 0; taken_over && i < count; ++i) {
        const bool was_whole = (packets[i]->port & HandOverBatch::reassembled) == 0;
        if (!was_whole) parsed[i].largest_fragment = static_cast<std::uint16_t>(packets[i]->hash.usr);
    }
    for (unsigned i = 0; i < count; ++i) {
        if (parsed[i].kind != PacketKind::transport) continue;
        burst_.hints[i] = parsed[i].family == net::Family::inet
                              ? worker_.connections_v4.prefetch_entry(hashes[i])
                              : worker_.connections_v6.prefetch_entry(hashes[i]);
    }
    for (unsigned i = 0; i < count; ++i) {
        if (shared_.ports[ports[i]].partial_checksums && !taken_over &&
            parsed[i].kind == PacketKind::transport) {
            complete_partial_checksum(packets[i], parsed[i]);
        }
        const PacketContext context{packets[i], parsed[i],  settings, hashes[i],       ports[i],
                                    taken_over, now,        false,    burst_.hints[i]};
        const bool plain =
            (net::load<std::uint64_t>(context.data()) & mask) == station && !parsed[i].vlan;
        if (!plain && !taken_over && !is_received(context)) [[unlikely]] {
            transmit_.punt(context);
        } else if (!is_for_ipvs(parsed[i])) [[unlikely]] {
            pass_on(context);
        } else if (parsed[i].kind != PacketKind::transport) [[unlikely]] {
            forward(context);
        } else if (parsed[i].family == net::Family::inet) {
            forward_flow<V4>(context);
        } else {
            forward_flow<V6>(context);
        }
    }
    worker_.outgoing.flush(shared_.hand_over, worker_.counters);
}

/// By an interface of this host: a frame for its port alone is known to be without asking.
bool Pipeline::is_received(const PacketContext& context) const noexcept {
    if (context.parsed.kind == PacketKind::malformed) return true;  // and dropped
    const std::uint64_t word = net::load<std::uint64_t>(context.data()) & station_mask;
    return shared_.configuration.ingress.find({context.port, word, context.parsed.tags}) != nullptr;
}

void Pipeline::pass_on(const PacketContext& context) noexcept {
    if (!router_.forward(context)) transmit_.punt(context);
}

void Pipeline::give_to(WorkerId owner, const PacketContext& context) noexcept {
    std::uint16_t port = context.port;
    if (context.parsed.largest_fragment != 0) [[unlikely]] {
        port |= HandOverBatch::reassembled;
        context.packet->hash.usr = context.parsed.largest_fragment;
    }
    worker_.outgoing.add(owner, port, context.packet, shared_.hand_over, worker_.counters);
}

void Pipeline::forward(const PacketContext& context) noexcept {
    const bool v4 = context.parsed.family == net::Family::inet;
    switch (context.parsed.kind) {
        case PacketKind::transport:
            return v4 ? forward_flow<V4>(context) : forward_flow<V6>(context);
        case PacketKind::icmp_error:
            return v4 ? forward_icmp_error<V4>(context) : forward_icmp_error<V6>(context);
        case PacketKind::fragment: return v4 ? reassemble<V4>(context) : reassemble<V6>(context);
        case PacketKind::other:
            if (shared_.configuration.tunnel_count.load(std::memory_order_relaxed) != 0) [[unlikely]] {
                return unpack(context);
            }
            return pass_on(context);
        case PacketKind::malformed: return transmit_.drop(context.packet, DropReason::malformed);
    }
}

/// Puts a fragment to the others of its datagram; the whole goes on like any packet. One worker
/// collects all of a sender's fragments, as only the first of them names the flow.
/// Linux: ip_vs_core.c ip_vs_gather_frags.
template <class F>
void Pipeline::reassemble(const PacketContext& context) noexcept {
    const auto& key = context.parsed.template flow<F>();
    const WorkerId owner = shared_.steering.owner(key.source, net::Port{});
    if (owner != worker_.id && !context.taken_over) {
        return give_to(owner, context);
    }
    const auto whole = worker_.reassembly.add(context.packet, context.parsed, context.now.ticks);
    if (whole.packet == nullptr) return;
    Parsed parsed = parse(
        {rte_pktmbuf_mtod(whole.packet, std::byte*), whole.packet->data_len}, whole.packet->pkt_len
    );
    parsed.largest_fragment = whole.largest_fragment;
    if (parsed.kind == PacketKind::fragment) {
        return transmit_.drop(whole.packet, DropReason::malformed);
    }
    const std::uint64_t hash = worker_.connections<F>().hash_of(parsed.template flow<F>());
    // Whoever collected it, the flow may be another worker's.
    forward({whole.packet, parsed, context.settings, hash, context.port, false, context.now});
}

template <class F>
[[gnu::always_inline]] inline void Pipeline::forward_flow(const PacketContext& context) noexcept {
    const auto found = worker_.connections<F>().find(
        context.parsed.template flow<F>(), context.hash, context.hint
    );
    if (!found) return miss<F>(context);
    if (found.direction == Direction::reply) return reply<F>(context, *found.connection);
    request<F>(context, *found.connection);
}

template <class F>
[[gnu::always_inline]] inline void Pipeline::request(const PacketContext& context, Connection<F>& connection) noexcept {
    const ipvs::Sysctls& sysctls = context.settings.sysctls;
    DestinationSlot& slot = lifecycle_.destination(connection.destination_id);
    if (Lifecycle::opens(context.parsed) && lifecycle_.reopens(connection, slot, sysctls)) [[unlikely]] {
        lifecycle_.close(connection);
        return miss<F>(context);
    }
    if (!slot.available.load(std::memory_order_relaxed)) [[unlikely]] {
        // Linux: ip_vs_core.c ip_vs_in_hook — dropped, and the timer is not refreshed.
        if (sysctls.expire_nodest_conn == 0) {
            return transmit_.drop(context.packet, DropReason::destination_unavailable);
        }
        lifecycle_.close(connection);
        return miss<F>(context);
    }
    deliver<F>(context, connection, slot);
}

template <class F>
[[gnu::always_inline]] inline void Pipeline::deliver(
    const PacketContext& context, Connection<F>& connection, DestinationSlot& slot
) noexcept {
    worker_.counters.destinations[connection.destination_id.value].count_in(1, context.parsed.l3_length);
    ++connection.in_packets;
    lifecycle_.advance(context, connection, Direction::request);
    if (connection.has(ConnectionFlags::application)) [[unlikely]] {
        if (!hear_client<F>(context, connection)) return;
    }
    transmit_.request(context, connection, slot);
    if (context.settings.sync_master) [[unlikely]] sync_.sync<F>(context, connection);
}

template <class F>
void Pipeline::reply(const PacketContext& context, Connection<F>& connection) noexcept {
    if (connection.has(ConnectionFlags::application)) [[unlikely]] {
        Parsed parsed = context.parsed;
        if (!hear_server<F>(context, connection, parsed)) return;
        return return_reply<F>(context.with(parsed), connection);
    }
    return_reply<F>(context, connection);
}

template <class F>
void Pipeline::return_reply(const PacketContext& context, Connection<F>& connection) noexcept {
    const bool masquerade = connection.method() == ForwardingMethod::masquerade;
    if (masquerade && !may_be_forwarded(context.parsed)) [[unlikely]] {
        return transmit_.reject<F>(context, IcmpError::time_exceeded, 0, DropReason::ttl_exceeded);
    }
    if (masquerade && !transmit_.reply(context, connection)) [[unlikely]] return;
    connection.flags &= static_cast<std::uint16_t>(~ConnectionFlags::no_output);
    worker_.counters.destinations[connection.destination_id.value].count_out(1, context.parsed.l3_length);
    lifecycle_.advance(context, connection, Direction::reply);
    // A real server that answers by itself, seen passing by: routed like any other packet.
    if (!masquerade) pass_on(context);
}

/// Nobody here knows the flow: it belongs to another worker, opens a connection, or is the
/// kernel's business.
template <class F>
void Pipeline::miss(const PacketContext& context) noexcept {
    const auto& key = context.parsed.template flow<F>();
    Marks marks;
    if (has_marked_services() && may_be_for_host<F>(key)) [[unlikely]] {
        // Only the owner asks the rules: what comes here by mistake may be of a known connection.
        const WorkerId owner = owner_of<F>(key, nullptr);
        if (owner != worker_.id && !context.taken_over) {
            return give_to(owner, context);
        }
        if (!Lifecycle::may_schedule(context.parsed, context.settings.sysctls)) {
            return pass_on(context);
        }
        const auto found = marks_of<F>(context);
        if (!found) return transmit_.punt(context);
        marks = *found;
    }
    const Service* service = find_service<F>(key, marks.service);
    const WorkerId owner = owner_of<F>(key, service);
    if (owner != worker_.id && !context.taken_over) {
        return give_to(owner, context);
    }
    if (shared_.expected.count() != 0 && begin_expected<F>(context)) return;
    if (may_be_of_server(context.settings.sysctls) && take_from_server<F>(context)) return;
    if (service == nullptr || !Lifecycle::may_schedule(context.parsed, context.settings.sysctls)) {
        return pass_on(context);
    }
    // Linux: ip_vs_core.c ip_vs_schedule — FTP data from port 20 is never scheduled.
    constexpr std::uint16_t ftp_data = 20;
    if (key.source_port.host() == ftp_data || !is_for_host<F>(context, key, marks.routing)) {
        return pass_on(context);
    }
    open<F>(context, *service);
}

template <class F>
void Pipeline::open(const PacketContext& context, const Service& service) noexcept {
    Connection<F> one_packet{};
    auto opened = lifecycle_.open<F>(context, service, one_packet);
    if (opened.refusal == Lifecycle::Refusal::no_destination && bypasses<F>(context, service)) {
        opened = lifecycle_.open_bypass<F>(context, service, one_packet);
    }
    switch (opened.refusal) {
        case Lifecycle::Refusal::none: break;
        case Lifecycle::Refusal::no_destination: {
            // Linux: ip_vs_core.c ip_vs_leave — FTP data goes to the stack, others learn at once.
            const auto* endpoint = std::get_if<ipvs::EndpointKey>(&service.key);
            constexpr net::Port ftp{std::uint16_t{21}};
            if (endpoint != nullptr && endpoint->port == ftp &&
                context.parsed.template flow<F>().destination_port != ftp) {
                return transmit_.punt(context);
            }
            return transmit_.reject<F>(context, IcmpError::port_unreachable, 0, DropReason::no_destination);
        }
        case Lifecycle::Refusal::table_full:
            return transmit_.drop(context.packet, DropReason::connection_table_full);
        case Lifecycle::Refusal::drop_rate: return transmit_.drop(context.packet, DropReason::drop_rate);
        case Lifecycle::Refusal::persistence_engine:
            return transmit_.drop(context.packet, DropReason::persistence_engine);
    }
    Connection<F>& connection = *opened.connection;
    deliver<F>(context, connection, lifecycle_.destination(connection.destination_id));
    if (connection.has(ConnectionFlags::one_packet)) lifecycle_.unbind(connection);
}

/// Linux: ip_vs_core.c ip_vs_leave — sysctl cache_bypass, for caches that rules and routes put in
/// the way of traffic to others.
template <class F>
bool Pipeline::bypasses(const PacketContext& context, const Service& service) const noexcept {
    if (context.settings.sysctls.cache_bypass == 0) return false;
    const auto& to = context.parsed.template flow<F>().destination;
    return std::holds_alternative<ipvs::FirewallMarkKey>(service.key) && is_unicast(to) &&
           !is_local<F>(to);
}

template <class F>
WorkerId Pipeline::owner_of(const FlowKey<F>& key, const Service* service) const noexcept {
    if (shared_.steering.workers() == 1) return worker_.id;
    if (service != nullptr) return shared_.steering.owner(key.source, key.source_port);
    const bool expects =
        has_marked_services() || takes_synced() || shared_.expected.count() != 0;
    if (expects && is_local<F>(key.destination)) {
        return shared_.steering.owner(key.source, key.source_port);
    }
    const Configuration& configuration = shared_.configuration;
    RealServerKey server{key.protocol, key.source, key.source_port};
    const RealServer* known = configuration.real_servers.find(server);
    if (known == nullptr && configuration.any_port_servers.load(std::memory_order_relaxed) != 0) {
        server.port = net::Port{};
        known = configuration.real_servers.find(server);
    }
    if (known != nullptr) return shared_.steering.owner(key.destination, key.destination_port);
    const bool by_mark = has_marked_services() && configuration.routes<F>().selective();
    return by_mark ? shared_.steering.owner(key.source, key.source_port) : worker_.id;
}

/// Routing rules may send any packet to the host.
template <class F>
bool Pipeline::may_be_for_host(const FlowKey<F>& key) const noexcept {
    return shared_.configuration.routes<F>().selective() || is_local<F>(key.destination);
}

/// The packet's firewall marks; none when it is for the kernel to say, or to do more.
template <class F>
auto Pipeline::marks_of(const PacketContext& context) noexcept -> std::optional<Marks> {
    const Configuration& configuration = shared_.configuration;
    const MarkProgram* program = F::family == net::Family::inet ? configuration.marks_v4.current()
                                                                : configuration.marks_v6.current();
    if (program == nullptr) return Marks{};
    const MarkResult result = program->evaluate(
        {{context.data(), context.packet->data_len},
         context.parsed,
         receiving_interface(configuration, context)}
    );
    worker_.counters.marks_asked.add(1);
    if (result.outcome == MarkResult::Outcome::kernel) return std::nullopt;
    const bool decided = result.outcome == MarkResult::Outcome::known &&
                         (result.routing_mark_known || !configuration.routes<F>().selective());
    if (decided) return Marks{result.mark, result.routing_mark};
    worker_.counters.marks_undecided.add(1);
    return std::nullopt;
}

/// Linux: ip_vs_ctl.c ip_vs_service_find.
template <class F>
const Service* Pipeline::find_service(const FlowKey<F>& key, std::uint32_t mark) const noexcept {
    const Configuration& configuration = shared_.configuration;
    if (!configuration.serves(F::family)) return nullptr;
    if (mark != 0) [[unlikely]] {
        const ipvs::FirewallMarkKey by_mark{F::family, mark};
        if (const Service* marked = configuration.services.find(by_mark)) return marked;
    }
    ipvs::EndpointKey wanted{key.protocol, key.destination, key.destination_port};
    if (const Service* exact = configuration.services.find(wanted)) return exact;
    constexpr std::uint16_t ftp_data = 20;
    constexpr std::uint16_t first_unprivileged = 1024;
    const std::uint16_t port = key.destination_port.host();
    if (key.protocol == static_cast<std::uint8_t>(net::IpProtocol::tcp) &&
        configuration.ftp_services.load(std::memory_order_relaxed) != 0 &&
        (port == ftp_data || port >= first_unprivileged)) {
        wanted.port = net::Port{std::uint16_t{21}};
        if (const Service* ftp = configuration.services.find(wanted)) return ftp;
    }
    if (configuration.any_port_services.load(std::memory_order_relaxed) == 0) return nullptr;
    wanted.port = net::Port{};
    return configuration.services.find(wanted);
}

template <class F>
bool Pipeline::is_local(const typename F::Address& address) const noexcept {
    const Route* route = shared_.configuration.routes<F>().lookup(address);
    return route != nullptr && route->pick(0).type == NextHop::Type::local;
}

/// Linux: ip_input.c ip_rcv_finish_core — the look-up that decides between LOCAL_IN and FORWARD.
template <class F>
bool Pipeline::is_for_host(
    const PacketContext& context, const FlowKey<F>& key, std::uint32_t mark
) const noexcept {
    const RoutingPolicy& policy = shared_.configuration.routes<F>();
    RouteQuery query;
    query.destination = key.destination;
    query.mark = mark;
    if (policy.selective()) [[unlikely]] describe_input<F>(shared_.configuration, context, query);
    const Route* route = policy.lookup(query);
    return route != nullptr && route->pick(0).type == NextHop::Type::local;
}

void Pipeline::run_timers(Time now, std::uint32_t budget) noexcept {
    if (!worker_.waiting.empty()) {
        worker_.waiting.retry(
            shared_.configuration, now.ticks, worker_.counters,
            [this](rte_mbuf* packet, net::Family family, const Adjacency& adjacency) {
                transmit_.send(packet, 0, family, adjacency);
            },
            [this, now](rte_mbuf* packet, net::Family family) { give_up(packet, family, now); }
        );
    }
    if (worker_.reassembly.datagrams() != 0) worker_.reassembly.expire(now.ticks);
    expire<V4>(now, budget);
    expire<V6>(now, budget);
    if (now.ticks - worker_.last_sweep >= ticks_per_second) [[unlikely]] {
        worker_.last_sweep = now.ticks;
        drop_entries(now);
    }
}

template <class F>
void Pipeline::expire(Time now, std::uint32_t budget) noexcept {
    worker_.connections<F>().expire(now.ticks, budget, [this, now](Connection<F>& connection) {
        if (!lifecycle_.may_expire(connection, now)) return false;
        lifecycle_.unbind(connection);
        return true;
    });
}

void Pipeline::drop_entries(Time now) noexcept {
    if (!shared_.configuration.settings.current()->drop_entry) return;
    drop_entries<V4>(now);
    drop_entries<V6>(now);
}

/// A 32nd of the table from a random place on, so that nobody can tell who is next.
template <class F>
void Pipeline::drop_entries(Time now) noexcept {
    auto& table = worker_.connections<F>();
    if (table.size() == 0) return;
    const auto drop = [this, now](Connection<F>& connection) {
        if (!worker_.dropper.drops(connection, now.ticks) || lifecycle_.controls_others(connection)) return;
        lifecycle_.close(connection, Lifecycle::Release::dropped);
    };
    const ConnectionIndex end = table.end();
    const std::uint32_t count = end / EntryDropper::share + 1;
    const auto from = static_cast<ConnectionIndex>(worker_.random.below(end));
    table.visit(from, count, drop);
    if (from + count > end) table.visit(0, from + count - end, drop);
}

void Pipeline::expire_unavailable() noexcept {
    const auto sweep = [this](auto& table) {
        ConnectionIndex next = 0;
        while (next != no_connection) {
            next = table.visit(next, 1024, [this](auto& connection) {
                const auto& slot = lifecycle_.destination(connection.destination_id);
                if (!slot.available.load(std::memory_order_relaxed)) lifecycle_.close(connection);
            });
        }
    };
    if (worker_.id == 0) shared_.expected.expire_unavailable();
    sweep(worker_.connections_v4);
    sweep(worker_.connections_v6);
}

template bool Pipeline::is_local<V4>(const net::Ipv4Address&) const noexcept;
template bool Pipeline::is_local<V6>(const net::Ipv6Address&) const noexcept;
template const Service* Pipeline::find_service<V4>(const FlowKey<V4>&, std::uint32_t) const noexcept;
template const Service* Pipeline::find_service<V6>(const FlowKey<V6>&, std::uint32_t) const noexcept;
template WorkerId Pipeline::owner_of<V4>(const FlowKey<V4>&, const Service*) const noexcept;
template WorkerId Pipeline::owner_of<V6>(const FlowKey<V6>&, const Service*) const noexcept;
template void Pipeline::request<V4>(const PacketContext&, Connection<V4>&) noexcept;
template void Pipeline::request<V6>(const PacketContext&, Connection<V6>&) noexcept;
template void Pipeline::reply<V4>(const PacketContext&, Connection<V4>&) noexcept;
template void Pipeline::reply<V6>(const PacketContext&, Connection<V6>&) noexcept;

}  // namespace nlvs::forwarding
