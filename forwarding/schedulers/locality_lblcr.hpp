#pragma once

#include "forwarding/schedulers/locality.hpp"
#include "forwarding/schedulers/weighted_least_connection.hpp"

namespace nlvs::forwarding::locality_lblcr {

/// The least loaded member of the set. Linux: ip_vs_lblcr.c ip_vs_dest_set_min.
inline const ServiceDestination* least_loaded_member(
    const Service& service, const LocalityEntry& entry
) noexcept {
    WeightedLoad best;
    for (std::uint32_t i = 0; i < entry.size; ++i) {
        const auto* member = find_available(service, entry.members[i]);
        if (member == nullptr || is_overloaded(*member) || weight_of(*member) <= 0) continue;
        const WeightedLoad load{member, overhead(*member), weight_of(*member)};
        if (best.destination == nullptr || best.exceeds(load)) best = load;
    }
    return best.destination;
}

/// The most loaded member; members that left the service first, since they will not come back to
/// this entry. Linux: ip_vs_lblcr.c ip_vs_dest_set_max.
inline DestinationId most_loaded_member(
    const Service& service, const LocalityEntry& entry
) noexcept {
    WeightedLoad worst;
    for (std::uint32_t i = 0; i < entry.size; ++i) {
        const auto* member = find_available(service, entry.members[i]);
        if (member == nullptr) return entry.members[i];
        if (weight_of(*member) <= 0) continue;
        const WeightedLoad load{member, overhead(*member), weight_of(*member)};
        if (worst.destination == nullptr || load.exceeds(worst)) worst = load;
    }
    return worst.destination != nullptr ? worst.destination->id : DestinationId::none();
}

/// Locality with replication: a set of destinations per destination address, which grows when its
/// least loaded member must be relieved and shrinks when it has been left alone for
/// lblcr_expiration. Linux: ip_vs_lblcr.c ip_vs_lblcr_schedule. The set holds eight members where
/// the kernel's is unbounded.
inline const ServiceDestination* pick(
    const Service& service, const ScheduleInput& input, SchedulerState& state
) noexcept {
    const Ticks now = input.now.ticks;
    const Ticks expiration = ticks_of(input.sysctls.lblcr_expiration);
    LocalityCache* cache = locality_of(state);
    LocalityEntry* entry =
        cache != nullptr ? cache->find(input.destination, now, expiration) : nullptr;
    if (entry != nullptr) {
        const auto* least = least_loaded_member(service, *entry);
        if (entry->size > 1 && now - entry->last_modified > expiration) {
            entry->remove(most_loaded_member(service, *entry), now);
        }
        if (least != nullptr && !should_relieve(service, *least)) return least;
    }
    const auto* chosen = weighted_least_connection::pick(service);
    if (chosen == nullptr || cache == nullptr) return chosen;
    if (entry == nullptr) entry = cache->insert(input.destination, now, expiration);
    if (entry != nullptr) entry->insert(chosen->id, now);
    return chosen;
}

}  // namespace nlvs::forwarding::locality_lblcr
