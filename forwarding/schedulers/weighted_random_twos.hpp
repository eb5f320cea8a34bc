#pragma once

#include "forwarding/schedulers/destination_load.hpp"
#include "forwarding/schedulers/random_source.hpp"

#include <cstdint>

namespace nlvs::forwarding::weighted_random_twos {

/// The power of two choices: draws two destinations at random, by weight, and takes the less
/// loaded per weight. A draw runs over [0, sum] inclusive, so the first usable destination gets
/// one chance more, as in the kernel. Linux: ip_vs_twos.c.
inline const ServiceDestination* pick(const Service& service, RandomSource& random) noexcept {
    std::int64_t sum = 0;
    for (const auto& destination : service.destinations) {
        const std::int32_t weight = weight_of(destination);
        if (!is_overloaded(destination) && weight > 0) sum += weight;
    }
    if (sum == 0) return nullptr;

    std::int64_t draws[2];
    for (auto& draw : draws) {
        draw = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(sum) + 1));
    }
    WeightedLoad choices[2];
    const ServiceDestination* last = nullptr;
    for (const auto& destination : service.destinations) {
        const std::int32_t weight = weight_of(destination);
        if (is_overloaded(destination) || weight <= 0) continue;
        last = &destination;
        for (int i = 0; i < 2; ++i) {
            draws[i] -= weight;
            if (draws[i] > 0 || choices[i].destination != nullptr) continue;
            choices[i] = {&destination, overhead(destination), weight};
        }
    }
    // A weight lowered between the two walks can leave a draw without an owner.
    if (choices[0].destination == nullptr || choices[1].destination == nullptr) return last;
    return choices[0].exceeds(choices[1]) ? choices[1].destination : choices[0].destination;
}

}  // namespace nlvs::forwarding::weighted_random_twos
