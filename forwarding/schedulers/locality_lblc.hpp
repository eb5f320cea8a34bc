#pragma once

#include "forwarding/schedulers/locality.hpp"
#include "forwarding/schedulers/weighted_least_connection.hpp"

namespace nlvs::forwarding::locality_lblc {

/// The same destination for the same destination address (a cache cluster), until it must be
/// relieved; then wlc anew. A cached destination may be over its thresholds: the kernel does not
/// ask. Linux: ip_vs_lblc.c ip_vs_lblc_schedule.
inline const ServiceDestination* pick(
    const Service& service, const ScheduleInput& input, SchedulerState& state
) noexcept {
    const Ticks now = input.now.ticks;
    const Ticks expiration = ticks_of(input.sysctls.lblc_expiration);
    LocalityCache* cache = locality_of(state);
    LocalityEntry* entry =
        cache != nullptr ? cache->find(input.destination, now, expiration) : nullptr;
    if (entry != nullptr) {
        const auto* cached = find_available(service, entry->members[0]);
        if (cached != nullptr && weight_of(*cached) > 0 && !should_relieve(service, *cached)) {
            return cached;
        }
    }
    const auto* chosen = weighted_least_connection::pick(service);
    if (chosen == nullptr || cache == nullptr) return chosen;
    if (entry == nullptr) entry = cache->insert(input.destination, now, expiration);
    if (entry != nullptr) {
        entry->size = 1;
        entry->members[0] = chosen->id;
    }
    return chosen;
}

}  // namespace nlvs::forwarding::locality_lblc
