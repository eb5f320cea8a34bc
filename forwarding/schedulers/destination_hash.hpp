#pragma once

#include "forwarding/schedulers/address_hash.hpp"
#include "forwarding/schedulers/destination_load.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace nlvs::forwarding::destination_hash {

inline constexpr unsigned table_bits = 8;

/// The destination in the bucket of the packet's destination address. Linux: ip_vs_dh.c.
inline const ServiceDestination* pick(
    const Service& service, const net::IpAddress& destination_address
) noexcept {
    if (service.buckets.empty()) return nullptr;
    const std::uint32_t folded = fold_address(destination_address, ipvs::family_of(service.key));
    const std::uint32_t position = service.buckets[hash_word(folded, table_bits)];
    if (position == Service::empty_bucket) return nullptr;
    const auto& destination = service.destinations[position];
    const bool available = destination.slot->available.load(std::memory_order_relaxed);
    if (!available || weight_of(destination) <= 0 || is_overloaded(destination)) return nullptr;
    return &destination;
}

/// One bucket per destination and round; weights make no difference.
inline std::vector<std::uint32_t> build(const Service& service) {
    const std::size_t count = service.destinations.size();
    std::vector<std::uint32_t> buckets(std::size_t{1} << table_bits, Service::empty_bucket);
    for (std::size_t i = 0; count != 0 && i < buckets.size(); ++i) {
        buckets[i] = static_cast<std::uint32_t>(i % count);
    }
    return buckets;
}

}  // namespace nlvs::forwarding::destination_hash
