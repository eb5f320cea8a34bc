#pragma once

#include "forwarding/schedulers/destination_load.hpp"

namespace nlvs::forwarding::weighted_failover {

/// The highest weight above zero; the others wait until it is gone or overloaded.
/// Linux: ip_vs_fo.c.
inline const ServiceDestination* pick(const Service& service) noexcept {
    const ServiceDestination* best = nullptr;
    std::int32_t highest = 0;
    for (const auto& destination : service.destinations) {
        if (is_overloaded(destination)) continue;
        const std::int32_t weight = weight_of(destination);
        if (weight <= highest) continue;
        best = &destination;
        highest = weight;
    }
    return best;
}

}  // namespace nlvs::forwarding::weighted_failover
