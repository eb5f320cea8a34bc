#pragma once

#include "forwarding/schedulers/destination_load.hpp"
#include "forwarding/schedulers/scheduler_state.hpp"

namespace nlvs::forwarding::round_robin {

/// The first usable destination after the last used one, at most once around; weights above zero
/// make no difference. The cursor stays when there is none. Linux: ip_vs_rr.c.
inline const ServiceDestination* pick(const Service& service, SchedulerState& state) noexcept {
    const auto count = static_cast<std::uint32_t>(service.destinations.size());
    for (std::uint32_t step = 0, position = state.next; step < count; ++step, ++position) {
        if (position >= count) position = 0;
        const auto& destination = service.destinations[position];
        if (is_overloaded(destination) || weight_of(destination) <= 0) continue;
        state.cursor = destination.id;
        state.next = position + 1;
        return &destination;
    }
    return nullptr;
}

/// The cursor steps back when its destination leaves; nothing else moves it.
/// Linux: ip_vs_rr.c ip_vs_rr_del_dest.
inline void replay(const ScheduleChange& change, SchedulerState& state) noexcept {
    if (change.removed.is_none() || change.removed != state.cursor) return;
    state.cursor = change.predecessor_of_removed;
}

}  // namespace nlvs::forwarding::round_robin
