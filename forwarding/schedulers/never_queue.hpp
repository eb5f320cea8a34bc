#pragma once

#include "forwarding/schedulers/destination_load.hpp"
#include "forwarding/schedulers/shortest_expected_delay.hpp"

namespace nlvs::forwarding::never_queue {

/// The first idle destination, however slow; when all are busy, the shortest expected delay.
/// Linux: ip_vs_nq.c.
inline const ServiceDestination* pick(const Service& service) noexcept {
    for (const auto& destination : service.destinations) {
        if (is_overloaded(destination) || weight_of(destination) == 0) continue;
        if (active_connections(destination) == 0) return &destination;
    }
    return shortest_expected_delay::pick(service);
}

}  // namespace nlvs::forwarding::never_queue
