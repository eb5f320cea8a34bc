#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "compat/ipvs/control.hpp"
#include "compat/ipvs/destination.hpp"
#include "compat/ipvs/service.hpp"
#include "forwarding/identifiers.hpp"

namespace nlvs::daemon {

/// A destination as configured. `spec` is what listings show.
/// Thread: control.
struct RegisteredDestination {
    ipvs::DestinationSpec spec;
    std::int32_t last_weight = 0;  ///< last non-zero weight, or the first one; mh only
    std::uint64_t sequence = 0;    ///< place in the listing, new on each addition
    std::uint64_t service = 0;     ///< sequence of the service it was last attached to
    forwarding::DestinationId id;  ///< the publisher's slot
};

/// Where a destination that add_destination returns comes from.
enum class Origin : std::uint8_t {
    created,
    revived,            ///< from the trash, same service object: its statistics go on
    revived_elsewhere,  ///< from the trash, the service was re-created: its statistics are zeroed
};

/// A service as configured: `spec.flags` are merged, `spec.flags_mask` is ~0.
/// Thread: control.
struct RegisteredService {
    ipvs::ServiceKey key;
    ipvs::ServiceSpec spec;
    std::uint64_t sequence = 0;
    forwarding::ServiceId id;  ///< the publisher's slot
    /// Ascending by sequence, so oldest first; listings and schedulers go backwards.
    std::vector<std::unique_ptr<RegisteredDestination>> destinations;

    RegisteredDestination* find(const ipvs::DestinationKey& wanted) const noexcept {
        for (const auto& destination : destinations) {
            if (destination->spec.key == wanted) return destination.get();
        }
        return nullptr;
    }

    /// Calls visitor(const RegisteredDestination&) → bool, newest first; see ipvs::Control.
    template <class Visitor>
    ipvs::Cursor visit_destinations(ipvs::Cursor from, Visitor&& visitor) const {
        auto stop = destinations.end();
        if (from != 0) {
            stop = std::ranges::upper_bound(
                destinations, from, {}, [](const auto& item) { return item->sequence; }
            );
        }
        while (stop != destinations.begin()) {
            --stop;
            if (!visitor(**stop)) return (*stop)->sequence;
        }
        return ipvs::Control::end;
    }
};

}  // namespace nlvs::daemon
