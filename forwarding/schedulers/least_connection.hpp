#pragma once

#include "forwarding/schedulers/destination_load.hpp"

namespace nlvs::forwarding::least_connection {

/// The least overhead among weights other than zero, whatever their size. Linux: ip_vs_lc.c.
inline const ServiceDestination* pick(const Service& service) noexcept {
    const ServiceDestination* best = nullptr;
    std::int32_t least = 0;
    for (const auto& destination : service.destinations) {
        if (is_overloaded(destination) || weight_of(destination) == 0) continue;
        const std::int32_t load = overhead(destination);
        if (best != nullptr && load >= least) continue;
        best = &destination;
        least = load;
    }
    return best;
}

}  // namespace nlvs::forwarding::least_connection
