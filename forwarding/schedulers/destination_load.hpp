#pragma once

#include "forwarding/config/service.hpp"

#include <cstdint>

namespace nlvs::forwarding {

/// What schedulers look at. Weight, totals and the overload flag are read from the slot, live, as
/// the kernel reads them from struct ip_vs_dest; the copy of the weight in the node only feeds
/// tables. Relaxed: a decision made on a value a moment old is still a valid decision.

inline std::int32_t weight_of(const ServiceDestination& destination) noexcept {
    return destination.slot->weight.load(std::memory_order_relaxed);
}

/// The connection thresholds forbid new connections.
inline bool is_overloaded(const ServiceDestination& destination) noexcept {
    return destination.slot->totals.overloaded.load(std::memory_order_relaxed);
}

inline std::int32_t active_connections(const ServiceDestination& destination) noexcept {
    return static_cast<std::int32_t>(destination.slot->totals.active.load(std::memory_order_relaxed)
    );
}

/// 256 per active connection and one per connection of any kind; wraps at 32 bits.
/// Linux: ip_vs.h ip_vs_dest_conn_overhead.
inline std::int32_t overhead(const ServiceDestination& destination) noexcept {
    const auto& totals = destination.slot->totals;
    return static_cast<std::int32_t>(
        totals.active.load(std::memory_order_relaxed) * 256 +
        totals.connections.load(std::memory_order_relaxed)
    );
}

/// A destination with its cost and weight as read once; compared by cost per weight without
/// division.
struct WeightedLoad {
    const ServiceDestination* destination = nullptr;
    std::int64_t cost = 0;
    std::int64_t weight = 0;

    /// Strictly, so that the earlier of two equals stays.
    bool exceeds(const WeightedLoad& other) const noexcept {
        return cost * other.weight > other.cost * weight;
    }
};

/// The destination with the least cost per weight among those with a positive weight and no
/// overload flag; null if none. On ties the first in list order.
template <class Cost>
const ServiceDestination* least_loaded(const Service& service, Cost cost) noexcept {
    WeightedLoad best;
    for (const auto& destination : service.destinations) {
        if (is_overloaded(destination)) continue;
        const std::int32_t weight = weight_of(destination);
        if (weight <= 0) continue;
        const WeightedLoad load{&destination, cost(destination), weight};
        if (best.destination == nullptr || best.exceeds(load)) best = load;
    }
    return best.destination;
}

}  // namespace nlvs::forwarding
