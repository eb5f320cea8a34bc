#include "forwarding/schedulers/maglev.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace nlvs::forwarding::maglev {
namespace {

/// A destination's own order of visiting the slots, and how many it takes per round.
struct Permutation {
    std::uint32_t position;  ///< in the service's list
    std::uint32_t slot;
    std::uint32_t skip;
    std::uint32_t turns;
};

/// Linux: ip_vs_mh.c ip_vs_mh_permutate, ip_vs_mh_shift_weight.
std::vector<Permutation> permutations(const Service& service) {
    std::int32_t divisor = 0;
    std::int32_t maximum = 0;
    for (const auto& destination : service.destinations) {
        if (destination.last_weight <= 0) continue;
        divisor = std::gcd(divisor, destination.last_weight);
        maximum = std::max(maximum, destination.last_weight);
    }
    std::vector<Permutation> result;
    if (divisor == 0) return result;
    const auto length =
        static_cast<unsigned>(std::bit_width(static_cast<std::uint32_t>(maximum / divisor)));
    const unsigned shift = length > weight_bits ? length - weight_bits : 0;
    for (std::uint32_t i = 0; i < service.destinations.size(); ++i) {
        const auto& destination = service.destinations[i];
        if (destination.last_weight <= 0) continue;
        const std::uint32_t value = destination.port.host() +
                                    fold_address(destination.address, ipvs::family_of(service.key));
        const auto share = static_cast<std::uint32_t>(destination.last_weight / divisor);
        result.push_back({
            i,
            sip_hash(value, key_1) % table_size,
            sip_hash(value, key_2) % (table_size - 1) + 1,
            std::max(share >> shift, 1U),
        });
    }
    return result;
}

}  // namespace

std::vector<std::uint32_t> build(const Service& service) {
    std::vector<std::uint32_t> buckets(table_size, Service::empty_bucket);
    auto order = permutations(service);
    std::uint32_t filled = 0;
    while (!order.empty()) {
        for (auto& own : order) {
            for (std::uint32_t turn = 0; turn < own.turns; ++turn) {
                while (buckets[own.slot] != Service::empty_bucket) {
                    own.slot = (own.slot + own.skip) % table_size;
                }
                buckets[own.slot] = own.position;
                own.slot = (own.slot + own.skip) % table_size;
                if (++filled == table_size) return buckets;
            }
        }
    }
    return buckets;
}

}  // namespace nlvs::forwarding::maglev
