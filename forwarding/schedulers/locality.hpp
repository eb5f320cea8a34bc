#pragma once

#include "forwarding/schedulers/destination_load.hpp"
#include "forwarding/schedulers/schedule_input.hpp"
#include "forwarding/schedulers/scheduler_state.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>

namespace nlvs::forwarding {

/// What lblc and lblcr share.

/// Busy beyond its weight while some other destination is less than half busy.
/// Linux: ip_vs_lblc.c is_overloaded.
inline bool should_relieve(const Service& service, const ServiceDestination& destination) noexcept {
    if (active_connections(destination) <= weight_of(destination)) return false;
    for (const auto& other : service.destinations) {
        if (std::int64_t{active_connections(other)} * 2 < weight_of(other)) return true;
    }
    return false;
}

/// Null for a destination that has left the service. (The kernel keeps it referenced in the trash,
/// marked unavailable.)
inline const ServiceDestination* find_available(const Service& service, DestinationId id) noexcept {
    for (const auto& destination : service.destinations) {
        if (destination.id != id) continue;
        return destination.slot->available.load(std::memory_order_relaxed) ? &destination : nullptr;
    }
    return nullptr;
}

inline Ticks ticks_of(std::int32_t seconds) noexcept {
    if (seconds <= 0) return 0;
    const std::uint64_t ticks = static_cast<std::uint64_t>(seconds) * ticks_per_second;
    return static_cast<Ticks>(std::min<std::uint64_t>(ticks, std::numeric_limits<Ticks>::max()));
}

/// The worker's cache of this service, made on first use; null without memory.
inline LocalityCache* locality_of(SchedulerState& state) noexcept {
    if (!state.locality) state.locality.reset(new (std::nothrow) LocalityCache);
    return state.locality.get();
}

}  // namespace nlvs::forwarding
