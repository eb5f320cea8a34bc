#include "forwarding/sync/sync_taker.hpp"

#include <type_traits>

namespace nlvs::forwarding {
namespace {

template <class F>
typename F::Address address_of(const net::IpAddress& address) noexcept {
    if constexpr (std::is_same_v<F, V4>) {
        return address.v4();
    } else {
        return address.v6();
    }
}

Ticks timeout_of(const SyncedConnection& synced, const Settings& settings) noexcept {
    if (synced.timeout != 0) return synced.timeout;
    switch (static_cast<net::IpProtocol>(synced.protocol)) {
        case net::IpProtocol::tcp: return settings.state_timeouts.tcp[synced.state];
        case net::IpProtocol::sctp: return settings.state_timeouts.sctp[synced.state];
        default: return settings.state_timeouts.udp;
    }
}

}  // namespace

void SyncTaker::take(const WorkerRequest& request, Ticks now) noexcept {
    const Settings& settings = *shared_.configuration.settings.current();
    for (const SyncedConnection& synced : request.synced) {
        if (synced.client.is_v4()) {
            take_one<V4>(synced, settings, now);
        } else {
            take_one<V6>(synced, settings, now);
        }
    }
}

template <class F>
void SyncTaker::take_one(
    const SyncedConnection& synced, const Settings& settings, Ticks now
) noexcept {
    auto& table = worker_.connections<F>();
    const FlowKey<F> key{
        address_of<F>(synced.client), address_of<F>(synced.virtual_address), synced.client_port,
        synced.virtual_port, synced.protocol
    };
    const auto found = table.find(key);
    Connection<F>* connection = found.connection;
    if (found && found.direction == Direction::reply) return worker_.counters.sync_refused.add(1);
    if (found) {
        const Fate fate = fate_of<F>(*connection, synced);
        if (fate == Fate::newer_than_news) return;
        if (fate == Fate::replaced) {
            lifecycle_.close(*connection);
            connection = nullptr;
        } else {
            update<F>(*connection, synced);
        }
    }
    if (connection == nullptr && slot(synced.destination_id).forgets(synced.protocol)) return;
    if (connection == nullptr) connection = make<F>(synced, now);
    if (connection == nullptr) return worker_.counters.sync_refused.add(1);
    // Linux: ip_vs_proc_conn — as if the packets before the first announcement had been seen.
    connection->in_packets =
        static_cast<std::uint32_t>(settings.sysctls.sync_threshold) & packets_mask;
    connection->state = synced.state;
    connection->announced_state = synced.state & 0xF;
    connection->last_seen = now;
    connection->timeout = timeout_of(synced, settings);
    table.reschedule(connection);
    if (auto* end = worker_.sync_ends.template at<F>(table.index_of(*connection))) {
        *end = SyncEnd{now, 0}.stored();
    }
    worker_.counters.sync_taken.add(1);
}

template <class F>
auto SyncTaker::fate_of(const Connection<F>& present, const SyncedConnection& synced) noexcept
    -> Fate {
    const DestinationSlot& bound = slot(present.destination_id);
    if (present.destination_port != synced.destination_port ||
        bound.address != synced.destination) {
        // Linux: ip_vs_proc_conn — news of the end of one that has been replaced already.
        const bool ends = (synced.flags & ConnectionFlags::inactive) != 0;
        return ends ? Fate::newer_than_news : Fate::replaced;
    }
    // Linux: ip_vs_try_bind_dest. Keys in the table depend on the forwarding method.
    return bound.unbound && !slot(synced.destination_id).unbound ? Fate::replaced : Fate::updated;
}

template <class F>
void SyncTaker::update(Connection<F>& present, const SyncedConnection& synced) noexcept {
    if (((present.flags ^ synced.flags) & ConnectionFlags::inactive) == 0) return;
    auto& totals = slot(present.destination_id).totals;
    if ((synced.flags & ConnectionFlags::inactive) != 0) {
        totals.active.fetch_sub(1, std::memory_order_relaxed);
    } else {
        totals.active.fetch_add(1, std::memory_order_relaxed);
    }
    present.flags ^= ConnectionFlags::inactive;
}

/// Linux: ip_vs_conn.c ip_vs_conn_new, ip_vs_bind_dest. The activity is the message's; method and
/// no_output are the local destination's, where there is one.
template <class F>
Connection<F>* SyncTaker::make(const SyncedConnection& synced, Ticks now) noexcept {
    Connection<F>* connection = worker_.connections<F>().allocate();
    if (connection == nullptr) return nullptr;
    DestinationSlot& bound = slot(synced.destination_id);
    connection->client = address_of<F>(synced.client);
    connection->virtual_address = address_of<F>(synced.virtual_address);
    connection->destination = address_of<F>(synced.destination);
    connection->client_port = synced.client_port;
    connection->virtual_port = synced.virtual_port;
    connection->destination_port = synced.destination_port;
    connection->protocol = synced.protocol;
    connection->destination_id = synced.destination_id;
    std::uint16_t flags = synced.flags;
    if (!bound.unbound) {
        const auto method = bound.method.load(std::memory_order_relaxed);
        flags &= static_cast<std::uint16_t>(
            ~(ConnectionFlags::forwarding_mask | ConnectionFlags::no_output)
        );
        flags |= static_cast<std::uint16_t>(method);
        if (method != ForwardingMethod::masquerade) flags |= ConnectionFlags::no_output;
    }
    connection->flags = flags | ConnectionFlags::synced;
    connection->last_seen = now;
    connection->timeout = 3 * ticks_per_second;
    lifecycle_.find_application(*connection);
    worker_.connections<F>().insert(connection);
    bound.totals.bind();
    if (!connection->has(ConnectionFlags::inactive)) {
        bound.totals.active.fetch_add(1, std::memory_order_relaxed);
    }
    worker_.counters.opened.add(1);
    return connection;
}

}  // namespace nlvs::forwarding
