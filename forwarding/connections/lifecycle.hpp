#pragma once

#include "forwarding/connections/connection.hpp"
#include "forwarding/connections/sctp_state.hpp"
#include "forwarding/connections/tcp_state.hpp"
#include "forwarding/packet_context.hpp"
#include "forwarding/worker_state.hpp"

#include <cstdint>

namespace nlvs::forwarding {

/// How connections begin, move through their states and end.
/// Thread: its worker.
class Lifecycle {
public:
    Lifecycle(Shared& shared, WorkerState& worker) noexcept : shared_{shared}, worker_{worker} {}

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
            connection.persistence_template != TemplateId::none().value)
            return false;
        if (connection.protocol == static_cast<std::uint8_t>(net::IpProtocol::sctp)) {
            return connection.state == sctp_closed;
        }
        const auto state = static_cast<ipvs::TcpState>(connection.state);
        if (state == ipvs::TcpState::time_wait || state == ipvs::TcpState::close) return true;
        return (sysctls.conn_reuse_mode & 2) != 0 && state == ipvs::TcpState::fin_wait &&
               connection.has(ConnectionFlags::no_output);
    }

    enum class Refusal : std::uint8_t {
        none,
        no_destination,
        table_full,
        drop_rate,
        persistence_engine
    };

    template <class F>
    struct Opened {
        Connection<F>* connection = nullptr;
        Refusal refusal = Refusal::none;
    };

    /// Schedules and makes the connection of a request; `one_packet` receives it when it is not
    /// to be remembered. Linux: ip_vs_core.c ip_vs_schedule.
    template <class F>
    Opened<F> open(
        const PacketContext& context, const Service& service, Connection<F>& one_packet
    ) noexcept;

    /// Moves the state machine, the active count and the timer. Linux: ip_vs_set_state.
    template <class F>
    void advance(
        const PacketContext& context, Connection<F>& connection, Direction direction
    ) noexcept {
        Ticks timeout = 0;
        bool active = false;
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
                active = connection.state == sctp_established;
                break;
            }
            default:
                timeout = context.settings.state_timeouts.udp;
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
        if (active && connection.persistence_template != TemplateId::none().value) {
            shared_.templates.assure({connection.persistence_template});
        }
    }

    /// Forgets a connection: counts it off its destination and template and frees it.
    template <class F>
    void close(Connection<F>& connection) noexcept {
        unbind(connection);
        worker_.connections<F>().remove(&connection);
    }

    /// The bookkeeping of close() without the table: for one-packet connections and expiry.
    template <class F>
    void unbind(Connection<F>& connection) noexcept {
        destination(connection.destination_id)
            .totals.unbind(!connection.has(ConnectionFlags::inactive));
        if (connection.persistence_template != TemplateId::none().value) {
            shared_.templates.release({connection.persistence_template});
        }
        worker_.counters.expired.add(1);
    }

private:
    static constexpr std::uint8_t sctp_init = 1;
    static constexpr std::uint8_t sctp_abort = 6;
    static constexpr std::uint8_t sctp_established = 8;
    static constexpr std::uint8_t sctp_closed = 13;

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
};

}  // namespace nlvs::forwarding
