#pragma once

#include "compat/ipvs/connection.hpp"
#include "forwarding/config/configuration.hpp"
#include "forwarding/connections/connection_table.hpp"
#include "forwarding/mailbox.hpp"

#include <cstdint>

namespace nlvs::forwarding {

/// A connection as /proc/net/ip_vs_conn shows it.
/// Linux: ip_vs_conn.c ip_vs_conn_seq_show — whole seconds, rounded down.
template <class FamilyTag>
ipvs::ConnectionView view_of(
    const Connection<FamilyTag>& connection, const DestinationTable& destinations, Ticks now
) noexcept {
    ipvs::ConnectionView view;
    view.protocol = connection.protocol;
    view.client = connection.client;
    view.client_port = connection.client_port;
    view.virtual_address = connection.virtual_address;
    view.virtual_port = connection.virtual_port;
    view.destination = connection.destination;
    if (!connection.destination_id.is_none() && connection.destination_id != bypass_destination) {
        view.destination = destinations[connection.destination_id.value].address;
    }
    view.destination_port = connection.destination_port;
    view.state = connection.state;
    view.synced = connection.has(ConnectionFlags::synced);
    view.expires = connection.remaining(now) / ticks_per_second;
    return view;
}

/// Answers WorkerRequest::Kind::list_connections: the IPv4 table, then the IPv6 one. Looks at
/// `request.limit` slots, so the answer may be short or empty before the end.
/// The cursor is the slot to continue with, plus 2^32 for the IPv6 table.
/// Thread: the worker that owns the tables.
inline void list_connections(
    const Configuration& configuration,
    ConnectionTable<V4>& connections_v4,
    ConnectionTable<V6>& connections_v6,
    Ticks now,
    WorkerRequest& request
) noexcept {
    constexpr std::uint64_t second_table = std::uint64_t{1} << 32;
    const auto show = [&configuration, now, &request](const auto& connection) {
        request.connections.push_back(view_of(connection, configuration.destinations, now));
    };
    const auto from = static_cast<ConnectionIndex>(request.cursor);
    if (request.cursor < second_table) {
        const ConnectionIndex next = connections_v4.visit(from, request.limit, show);
        request.cursor = next == no_connection ? second_table : next;
    } else {
        const ConnectionIndex next = connections_v6.visit(from, request.limit, show);
        request.cursor = next == no_connection ? WorkerRequest::end : second_table + next;
    }
}

}  // namespace nlvs::forwarding
