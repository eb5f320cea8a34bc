#pragma once

#include "forwarding/connections/chooser.hpp"
#include "forwarding/connections/connection.hpp"
#include "forwarding/connections/sctp_state.hpp"
#include "forwarding/connections/tcp_state.hpp"
#include "forwarding/packet_context.hpp"
#include "forwarding/worker_state.hpp"

#include <cstdint>
#include <type_traits>

namespace nlvs::forwarding {

/// How connections begin, move through their states and end.
/// Thread: its worker.
class Lifecycle {
public:
    Lifecycle(Shared& shared, WorkerState& worker) noexcept : shared_{shared}, worker_{worker}, chooser_{shared, worker} {}

    DestinationSlot& destination(DestinationId id) noexcept {
        return shared_.configuration.destinations[id.value];
    }

    /// Is this the first packet of a connection by its flags? Linux: ip_vs_core.c is_new_conn.
    static bool opens(const Parsed& parsed) noexcept {
        switch (static_cast<net::IpProtocol>(parsed.protocol)) {
            case net::IpProtocol::tcp:
                return (parsed.tcp_flags & TcpFlags::syn) != 0;
            case net::IpProtocol::sctp:
                return parsed.tcp_flags == sctp_init;
            default:
                return false;
        }
    }

    /// May this packet be scheduled? Linux: tcp_conn_schedule, udp_conn_schedule,
    /// sctp_conn_schedule.
    static bool may_schedule(const Parsed& parsed, const ipvs::Sysctls& sysctls) noexcept {
        switch (static_cast<net::IpProtocol>(parsed.protocol)) {
            case net::IpProtocol::tcp:
                if ((parsed.tcp_flags & TcpFlags::rst) != 0) return false;
                return (parsed.tcp_flags & TcpFlags::syn) != 0 || sysctls.sloppy_tcp != 0;
            case net::IpProtocol::udp:
                return true;
            case net::IpProtocol::sctp:
                if (parsed.tcp_flags == sctp_init) return true;
                return sysctls.sloppy_sctp != 0 && parsed.tcp_flags != sctp_abort;
            default:
                return false;
        }
    }

    /// Must a packet that opens() on an existing connection be scheduled anew?
    /// Linux: ip_vs_core.c is_new_conn_expected and the expire_nodest_conn rule.
    template <class F>
    bool reopens(
        const Connection<F>& connection, const DestinationSlot& slot, const ipvs::Sysctls& sysctls
    ) const noexcept {
        if (sysctls.expire_nodest_conn != 0 && slot.weight.load(std::memory_order_relaxed) == 0)
            return true;
        if (sysctls.conn_reuse_mode == 0 ||
            connection.persistence_template != TemplateId::none().value ||
            is_tied(connection))
            return false;
        if (connection.protocol == static_cast<std::uint8_t>(net::IpProtocol::sctp)) {
            return static_cast<SctpState>(connection.state) == SctpState::closed;
        }
        const auto state = static_cast<ipvs::TcpState>(connection.state);
        if (state == ipvs::TcpState::time_wait || state == ipvs::TcpState::close) return true;
        return (sysctls.conn_reuse_mode & 2) != 0 && state == ipvs::TcpState::fin_wait &&
               connection.has(ConnectionFlags::no_output);
    }

    using Refusal = Choice::Refusal;

    template <class F>
    struct Opened {
        Connection<F>* connection = nullptr;
        Refusal refusal = Refusal::none;
    };

    /// Schedules and makes the connection of a request. `one_packet` receives it instead of the
    /// table when it is not to be remembered: the caller unbinds it after its packet.
    /// Linux: ip_vs_core.c ip_vs_schedule, ip_vs_conn.c ip_vs_conn_new.
    template <class F>
    Opened<F> open(
        const PacketContext& context, const Service& service, Connection<F>& one_packet
    ) noexcept {
        if (is_dropped_by_rate(context.settings)) return {nullptr, Refusal::drop_rate};
        const auto choice = chooser_.choose<F>(context, service);
        if (choice.refusal != Refusal::none) return {nullptr, choice.refusal};
        return make<F>(context.parsed.template flow<F>(), choice, service, context.now, one_packet);
    }

    /// A connection to where its packets say, as no destination is to be had.
    /// Linux: ip_vs_core.c ip_vs_leave.
    template <class F>
    Opened<F> open_bypass(
        const PacketContext& context, const Service& service, Connection<F>& one_packet
    ) noexcept {
        const Choice choice{bypass_destination, {}, {}, Refusal::none};
        return make<F>(context.parsed.template flow<F>(), choice, service, context.now, one_packet);
    }

    /// The connection that a real server begins by itself: its packet is the answer to one that
    /// never came. `one_packet` as for open(). Linux: ip_vs_core.c ip_vs_new_conn_out.
    template <class F>
    Opened<F> open_from_server(
        const PacketContext& context, const Service& service, DestinationId server,
        Connection<F>& one_packet
    ) noexcept {
        FlowKey<F> key;
        const Choice choice = chooser_.choose_server<F>(context, service, server, key);
        if (choice.refusal != Refusal::none) return {nullptr, choice.refusal};
        return make<F>(key, choice, service, context.now, one_packet);
    }

    /// Moves the state machine, the active count and the timer. Linux: ip_vs_set_state.
    template <class F>
    void advance(
        const PacketContext& context, Connection<F>& connection, Direction direction
    ) noexcept {
        Ticks timeout = 0;
        bool active = false;
        bool assures = false;
        const std::uint8_t before = connection.state;
        switch (static_cast<net::IpProtocol>(connection.protocol)) {
            case net::IpProtocol::tcp: {
                const auto next = advance_tcp(
                    static_cast<ipvs::TcpState>(connection.state),
                    context.parsed.tcp_flags,
                    direction,
                    connection.has(ConnectionFlags::no_output),
                    context.settings.secure_tcp
                );
                connection.state = static_cast<std::uint8_t>(next);
                timeout = context.settings.state_timeouts.tcp[connection.state];
                active = is_active(next);
                assures = next == ipvs::TcpState::established && connection.state != before;
                break;
            }
            case net::IpProtocol::sctp: {
                connection.state = advance_sctp(
                    connection.state,
                    context.parsed.tcp_flags,
                    direction,
                    connection.has(ConnectionFlags::no_output)
                );
                timeout = context.settings.state_timeouts.sctp[connection.state];
                active = is_active(static_cast<SctpState>(connection.state));
                assures = active && connection.state != before;
                break;
            }
            default:
                timeout = context.settings.state_timeouts.udp;
                assures = direction == Direction::reply;
                break;
        }
        if (active == connection.has(ConnectionFlags::inactive)) count_activity(connection, active);
        connection.last_seen = context.now.ticks;
        if (timeout != connection.timeout) {
            const bool sooner = timeout < connection.timeout;
            connection.timeout = timeout;
            if (sooner && !connection.has(ConnectionFlags::one_packet)) {
                worker_.connections<F>().reschedule(&connection);
            }
        }
        if (assures && connection.persistence_template != TemplateId::none().value) {
            shared_.templates.assure({connection.persistence_template});
        }
    }

    /// Gives a new connection the helper for its port, if there is one. Without memory it goes
    /// unassisted. Linux: ip_vs_proto_tcp.c tcp_app_conn_bind.
    template <class F>
    void find_application(Connection<F>& connection) noexcept {
        if (static_cast<net::IpProtocol>(connection.protocol) != net::IpProtocol::tcp ||
            connection.method() != ForwardingMethod::masquerade) {
            return;
        }
        const auto port = shared_.configuration.ftp_ports.find(connection.virtual_port);
        if (!port) [[likely]] return;
        connection.control = shared_.controls.open(*port);
        if (connection.control != 0) connection.flags |= ConnectionFlags::application;
    }

    /// The data connection that `expected` was, counted already; null when the table is full.
    template <class F>
    Connection<F>* accept(const PacketContext& context, const ExpectedConnection& expected) noexcept {
        ConnectionTable<F>& table = worker_.connections<F>();
        Connection<F>* connection = table.allocate();
        if (connection == nullptr) {
            destination(expected.destination_id).totals.unbind(false);
            shared_.controls.release(expected.control);
            return nullptr;
        }
        connection->client = address_of<F>(expected.client);
        connection->virtual_address = address_of<F>(expected.virtual_address);
        connection->destination = address_of<F>(expected.destination);
        connection->client_port = expected.client_port;
        connection->virtual_port = expected.virtual_port;
        connection->destination_port = expected.destination_port;
        connection->protocol = static_cast<std::uint8_t>(net::IpProtocol::tcp);
        connection->destination_id = expected.destination_id;
        connection->control = expected.control;
        connection->flags = static_cast<std::uint16_t>(
            static_cast<std::uint16_t>(ForwardingMethod::masquerade) | ConnectionFlags::inactive
        );
        listen(context, *connection);
        const FlowKey<F> key{connection->client, connection->virtual_address, connection->client_port,
                             connection->virtual_port, connection->protocol};
        // Of an earlier transfer between the same ports, with another server.
        if (const auto known = table.find(key)) close(*known.connection);
        table.insert(connection);
        worker_.counters.opened.add(1);
        return connection;
    }

    /// The data connection is about to begin, perhaps again. Linux: ip_vs_tcp_conn_listen.
    template <class F>
    void listen(const PacketContext& context, Connection<F>& connection) noexcept {
        connection.state = static_cast<std::uint8_t>(ipvs::TcpState::listen);
        connection.timeout = context.settings.state_timeouts.tcp[connection.state];
        connection.last_seen = context.now.ticks;
    }

    /// Does an FTP data connection hold this one?
    template <class F>
    bool controls_others(const Connection<F>& connection) const noexcept {
        return connection.has(ConnectionFlags::application) &&
               shared_.controls.controls_others(connection.control);
    }

    /// May it go now that its time is over? If not it has been given more.
    /// Linux: ip_vs_conn.c ip_vs_conn_expire.
    template <class F>
    bool may_expire(Connection<F>& connection, Time now) const noexcept {
        if (!controls_others(connection)) return true;
        connection.last_seen = now.ticks;
        connection.timeout = 60 * ticks_per_second;
        return false;
    }

    using Release = PersistenceTable::Release;

    /// Forgets a connection: counts it off its destination and template and frees it.
    template <class F>
    void close(Connection<F>& connection, Release why = Release::expired) noexcept {
        unbind(connection, why);
        worker_.connections<F>().remove(&connection);
    }

    /// The bookkeeping of close() without the table: for one-packet connections and expiry.
    template <class F>
    void unbind(Connection<F>& connection, Release why = Release::expired) noexcept {
        destination(connection.destination_id)
            .totals.unbind(!connection.has(ConnectionFlags::inactive));
        if (connection.persistence_template != TemplateId::none().value) {
            shared_.templates.release({connection.persistence_template}, why);
        }
        if (connection.control != 0) [[unlikely]] shared_.controls.release(connection.control);
        worker_.counters.expired.add(1);
    }

private:
    static constexpr std::uint8_t sctp_init = 1;
    static constexpr std::uint8_t sctp_abort = 6;

    /// Linux: include/net/ip_vs.h ip_vs_todrop.
    bool is_dropped_by_rate(const Settings& settings) noexcept {
        if (settings.drop_rate == 0) return false;
        if (--worker_.until_drop > 0) return false;
        worker_.until_drop = settings.drop_rate;
        return true;
    }

    /// The connection of a choice, counted and, unless it is for one packet, in the table.
    template <class F>
    Opened<F> make(
        const FlowKey<F>& key, const Choice& choice, const Service& service, Time now,
        Connection<F>& one_packet
    ) noexcept {
        // Linux: ip_vs_conn.c ip_vs_bind_dest — the destination's flag counts as the service's does.
        const bool forgets = (service.flags.has(ipvs::ServiceFlags::one_packet) &&
                              static_cast<net::IpProtocol>(key.protocol) == net::IpProtocol::udp) ||
                             destination(choice.destination).forgets(key.protocol);
        Connection<F>* connection = forgets ? &one_packet : worker_.connections<F>().allocate();
        if (connection == nullptr) {
            if (!choice.persistence_template.is_none()) {
                shared_.templates.release(choice.persistence_template);
            }
            return {nullptr, Refusal::table_full};
        }
        fill(*connection, key, choice, now);
        if (forgets) {
            connection->flags |= ConnectionFlags::one_packet;
        } else {
            find_application(*connection);
            worker_.connections<F>().insert(connection);
        }
        destination(choice.destination).totals.bind();
        worker_.counters.destinations[choice.destination.value].connections.add(1);
        worker_.counters.opened.add(1);
        return {connection, Refusal::none};
    }

    /// What the connection's first packet will set in a moment, so that the wheel puts it in its
    /// place at once; the kernel's own 3 s would cost every connection a second way through it.
    Ticks initial_timeout(std::uint8_t protocol) const noexcept {
        const auto& timeouts = shared_.configuration.settings.current()->state_timeouts;
        switch (static_cast<net::IpProtocol>(protocol)) {
            case net::IpProtocol::udp: return timeouts.udp;
            case net::IpProtocol::tcp:
                return timeouts.tcp[static_cast<std::size_t>(ipvs::TcpState::syn_recv)];
            default: return 3 * ticks_per_second;
        }
    }

    template <class F>
    void fill(
        Connection<F>& connection, const FlowKey<F>& key, const Choice& choice, Time now
    ) noexcept {
        const DestinationSlot& slot = destination(choice.destination);
        const auto method = slot.method.load(std::memory_order_relaxed);
        connection.client = key.source;
        connection.virtual_address = key.destination;
        connection.client_port = key.source_port;
        connection.virtual_port = key.destination_port;
        connection.destination_port = choice.destination_port;
        connection.protocol = key.protocol;
        connection.destination_id = choice.destination;
        connection.persistence_template = choice.persistence_template.value;
        connection.last_seen = now.ticks;
        connection.timeout = initial_timeout(key.protocol);
        connection.flags = static_cast<std::uint16_t>(
            static_cast<std::uint16_t>(method) | ConnectionFlags::inactive |
            (method == ForwardingMethod::masquerade ? 0 : ConnectionFlags::no_output)
        );
        if (slot.address.family() == F::family) {
            connection.destination = address_of<F>(slot.address);
        }
    }

    /// A data connection is its control connection's, and that one has to outlive it.
    template <class F>
    bool is_tied(const Connection<F>& connection) const noexcept {
        return connection.control != 0 &&
               (!connection.has(ConnectionFlags::application) || controls_others(connection));
    }

    template <class F>
    static typename F::Address address_of(const net::IpAddress& address) noexcept {
        if constexpr (std::is_same_v<F, V4>) {
            return address.v4();
        } else {
            return address.v6();
        }
    }

    template <class F>
    void count_activity(Connection<F>& connection, bool active) noexcept {
        auto& totals = destination(connection.destination_id).totals;
        if (active) {
            totals.active.fetch_add(1, std::memory_order_relaxed);
        } else {
            totals.active.fetch_sub(1, std::memory_order_relaxed);
        }
        connection.flags ^= ConnectionFlags::inactive;
    }

    Shared& shared_;
    WorkerState& worker_;
    Chooser chooser_;
};

}  // namespace nlvs::forwarding
