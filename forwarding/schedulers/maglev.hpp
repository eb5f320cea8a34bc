#pragma once

#include "forwarding/schedulers/address_hash.hpp"
#include "forwarding/schedulers/destination_load.hpp"
#include "forwarding/schedulers/schedule_input.hpp"

#include <cstdint>
#include <vector>

namespace nlvs::forwarding::maglev {

/// Consistent hashing after Eisenbud et al., "Maglev" (NSDI 2016), with the kernel's table size
/// and keys: directors with the same destinations in the same list order choose alike, kernel or
/// not. Linux: ip_vs_mh.c; CONFIG_IP_VS_MH_TAB_INDEX=12, 64-bit.

inline constexpr std::uint32_t table_size = 4093;
inline constexpr unsigned weight_bits = 6;
inline constexpr std::uint64_t key_1 = 2654435761;
inline constexpr std::uint64_t key_2 = 2654446892;

inline constexpr std::uint32_t fallback = ipvs::ServiceFlags::scheduler_1;
inline constexpr std::uint32_t with_port = ipvs::ServiceFlags::scheduler_2;

inline const ServiceDestination* usable_in(const Service& service, std::uint32_t slot) noexcept {
    const std::uint32_t position = service.buckets[slot];
    if (position == Service::empty_bucket) return nullptr;
    const auto& destination = service.destinations[position];
    if (weight_of(destination) <= 0 || is_overloaded(destination)) return nullptr;
    return &destination;
}

/// Linux: ip_vs_mh.c ip_vs_mh_get, ip_vs_mh_get_fallback.
inline const ServiceDestination* pick(const Service& service, const ScheduleInput& input) noexcept {
    if (service.buckets.empty()) return nullptr;
    const std::uint32_t port = service.flags.has(with_port) ? hashed_port(input) : 0;
    const std::uint32_t value = port + fold_address(input.source, ipvs::family_of(service.key));
    const std::uint32_t slot = sip_hash(value, key_1) % table_size;
    const auto* first = usable_in(service, slot);
    if (first != nullptr || !service.flags.has(fallback)) return first;
    for (std::uint32_t step = 0; step < table_size; ++step) {
        const std::uint32_t offset = (step + slot) % table_size;
        const auto* next = usable_in(service, sip_hash(value + offset, key_1) % table_size);
        if (next != nullptr) return next;
    }
    return nullptr;
}

/// Fills the table by last weights; all empty when no destination ever had one.
std::vector<std::uint32_t> build(const Service& service);

}  // namespace nlvs::forwarding::maglev
