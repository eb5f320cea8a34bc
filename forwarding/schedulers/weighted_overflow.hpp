#pragma once

#include "forwarding/schedulers/destination_load.hpp"

namespace nlvs::forwarding::weighted_overflow {

/// The highest weight whose active connections do not exceed it: the weight is a capacity, and
/// what spills over goes to the next lower one. Linux: ip_vs_ovf.c.
inline const ServiceDestination* pick(const Service& service) noexcept {
    const ServiceDestination* best = nullptr;
    std::int32_t highest = 0;
    for (const auto& destination : service.destinations) {
        const std::int32_t weight = weight_of(destination);
        if (is_overloaded(destination) || weight == 0) continue;
        if (active_connections(destination) > weight || weight <= highest) continue;
        best = &destination;
        highest = weight;
    }
    return best;
}

}  // namespace nlvs::forwarding::weighted_overflow
