#pragma once

#include "forwarding/schedulers/address_hash.hpp"
#include "forwarding/schedulers/destination_load.hpp"
#include "forwarding/schedulers/schedule_input.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace nlvs::forwarding::source_hash {

inline constexpr unsigned table_bits = 8;
inline constexpr std::uint32_t table_size = 1U << table_bits;

inline constexpr std::uint32_t fallback = ipvs::ServiceFlags::scheduler_1;
inline constexpr std::uint32_t with_port = ipvs::ServiceFlags::scheduler_2;

inline const ServiceDestination* usable_in(const Service& service, std::uint32_t bucket) noexcept {
    const std::uint32_t position = service.buckets[bucket];
    if (position == Service::empty_bucket) return nullptr;
    const auto& destination = service.destinations[position];
    if (weight_of(destination) <= 0 || is_overloaded(destination)) return nullptr;
    return &destination;
}

/// The destination in the bucket of the client's address [and port]; with sh-fallback the search
/// goes on through all buckets. Linux: ip_vs_sh.c ip_vs_sh_get, ip_vs_sh_get_fallback.
inline const ServiceDestination* pick(const Service& service, const ScheduleInput& input) noexcept {
    if (service.buckets.empty()) return nullptr;
    const std::uint32_t port = service.flags.has(with_port) ? hashed_port(input) : 0;
    const std::uint32_t folded = fold_address(input.source, ipvs::family_of(service.key));
    const std::uint32_t hash = hash_word(port + folded, table_bits);
    const auto* first = usable_in(service, hash);
    if (first != nullptr || !service.flags.has(fallback)) return first;
    // The kernel adds the first bucket twice, so the search starts at its double.
    for (std::uint32_t step = 0; step < table_size; ++step) {
        const std::uint32_t offset = (step + hash) % table_size;
        const auto* next = usable_in(service, (offset + hash) % table_size);
        if (next != nullptr) return next;
    }
    return nullptr;
}

/// As many consecutive buckets per round as the weight says; a weight of zero still occupies one.
/// Linux: ip_vs_sh.c ip_vs_sh_reassign.
inline std::vector<std::uint32_t> build(const Service& service) {
    std::vector<std::uint32_t> buckets(table_size, Service::empty_bucket);
    if (service.destinations.empty()) return buckets;
    std::uint32_t position = 0;
    std::int32_t taken = 0;
    for (auto& bucket : buckets) {
        bucket = position;
        if (++taken < std::max(service.destinations[position].weight, 1)) continue;
        taken = 0;
        position = (position + 1) % static_cast<std::uint32_t>(service.destinations.size());
    }
    return buckets;
}

}  // namespace nlvs::forwarding::source_hash
