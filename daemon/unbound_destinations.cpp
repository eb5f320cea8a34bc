#include "daemon/unbound_destinations.hpp"

#include <utility>

namespace nlvs::daemon {

std::optional<forwarding::DestinationId> UnboundDestinations::find_or_make(
    const ipvs_sync::Connection& connection, Clock::time_point now
) {
    const Key key{
        {connection.destination, connection.destination_port},
        connection.flags & ipvs_sync::Flags::forwarding_mask,
        connection.is_template()
    };
    if (const auto known = entries_.find(key); known != entries_.end()) {
        known->second.used = now;
        return known->second.destination->id;
    }
    if (entries_.size() >= maximum) return std::nullopt;
    auto destination = std::make_unique<RegisteredDestination>();
    destination->spec.key = key.destination;
    destination->spec.forwarding = key.method;
    // Linux: ip_vs_in_hook — a destination of weight 0 may end connections, none at all does not.
    destination->spec.weight = 1;
    if (!publisher_.add_unbound(*destination, !key.is_template)) return std::nullopt;
    const auto id = destination->id;
    entries_.emplace(key, Entry{std::move(destination), now});
    return id;
}

void UnboundDestinations::scan(Clock::time_point now) {
    std::erase_if(entries_, [&](const auto& item) {
        const Entry& entry = item.second;
        const auto id = entry.destination->id;
        if (publisher_.is_referenced(id) || now - entry.used < idle_period) return false;
        publisher_.remove_unbound(*entry.destination);
        return true;
    });
}

}  // namespace nlvs::daemon
