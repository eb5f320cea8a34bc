#pragma once

#include "forwarding/schedulers/destination_load.hpp"
#include "forwarding/schedulers/scheduler_state.hpp"

#include <algorithm>
#include <cstdint>

namespace nlvs::forwarding::weighted_round_robin {

/// Interleaved weighted round robin. A pass over the list serves every destination whose weight
/// reaches the current weight "cw"; after each pass cw falls by the divisor "di" (the greatest
/// common divisor of the weights) and from the bottom returns to the maximum "mw". A destination
/// is thus served in as many passes of a cycle as its weight says. Linux: ip_vs_wrr.c.

/// Takes cw as far down as passes that can serve nobody would, but not past the bottom pass.
/// Keeps a pick at a few passes whatever the weights.
inline void skip_idle_passes(
    const Service& service, std::int32_t divisor, SchedulerState& state
) noexcept {
    std::int32_t highest = 0;
    for (const auto& destination : service.destinations) {
        if (!is_overloaded(destination)) highest = std::max(highest, weight_of(destination));
    }
    const std::int32_t target = std::max(highest, divisor);
    if (state.current_weight <= target) return;
    const std::int32_t passes = (state.current_weight - target - 1) / divisor + 1;
    state.current_weight -= std::min(passes, (state.current_weight - 1) / divisor) * divisor;
}

inline const ServiceDestination* pick(const Service& service, SchedulerState& state) noexcept {
    if (service.changes.empty()) return nullptr;
    const std::int32_t maximum = service.changes.back().maximum_weight;
    const std::int32_t divisor = service.changes.back().divisor;
    if (maximum <= 0) return nullptr;
    const auto count = static_cast<std::uint32_t>(service.destinations.size());
    // With the cursor inside the list the last pass of the search ends at the cursor.
    const std::uint32_t start = std::min(state.next, count);
    std::uint32_t end = count;
    bool bottom = false;
    bool returned_to_maximum = false;
    for (std::uint32_t position = start;; position = 0) {
        for (; position < end; ++position) {
            const auto& destination = service.destinations[position];
            if (is_overloaded(destination)) continue;
            if (weight_of(destination) < state.current_weight) continue;
            state.cursor = destination.id;
            state.next = position + 1;
            return &destination;
        }
        if (end != count) return nullptr;
        state.current_weight -= divisor;
        if (state.current_weight <= 0) {
            state.current_weight = maximum;
            if (bottom || start == 0) return nullptr;
            returned_to_maximum = true;
        }
        skip_idle_passes(service, divisor, state);
        bottom = state.current_weight <= divisor;
        if (bottom && returned_to_maximum) end = start;
    }
}

/// cw after a change of the list. Linux: ip_vs_wrr.c ip_vs_wrr_dest_changed.
constexpr std::int32_t adjusted_weight(
    std::int32_t current, std::int32_t maximum, std::int32_t divisor
) noexcept {
    if (current > maximum || current == 0) return maximum;
    return divisor > 1 ? current / divisor * divisor + 1 : current;
}

/// Every change sends the cursor to the head of the list.
inline void replay(const ScheduleChange& change, SchedulerState& state) noexcept {
    state.cursor = DestinationId::none();
    state.current_weight =
        adjusted_weight(state.current_weight, change.maximum_weight, change.divisor);
}

}  // namespace nlvs::forwarding::weighted_round_robin
