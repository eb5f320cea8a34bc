#pragma once

#include <cstdint>
#include <vector>

#include "compat/ipvs/service.hpp"
#include "forwarding/config/destination.hpp"
#include "forwarding/identifiers.hpp"

namespace nlvs::forwarding {

/// The kernel's schedulers by name, plus "none".
enum class SchedulerKind : std::uint8_t {
    none, rr, wrr, lc, wlc, lblc, lblcr, dh, sh, mh, sed, nq, fo, ovf, twos,
};

/// A destination as its service's scheduler sees it.
struct ServiceDestination {
    DestinationId id;
    DestinationSlot* slot = nullptr;  ///< stable address; outlives every node that names it
    net::IpAddress address;
    net::Port port;
    ForwardingMethod method = ForwardingMethod::direct_route;
    std::int32_t weight = 0;
    std::int32_t last_weight = 0;  ///< last non-zero weight; mh only
};

/// One change of a service's destination list, so that a worker's scheduler state can replay
/// what the kernel's would have gone through even if it slept through several changes.
struct ScheduleChange {
    std::uint64_t version = 0;
    DestinationId removed;                   ///< none unless a destination left
    DestinationId predecessor_of_removed;    ///< none: it was the first
    std::int32_t maximum_weight = 0;         ///< wrr "mw" after the change
    std::int32_t divisor = 1;                ///< wrr "di" after the change
};

/// A service as workers see it: immutable, replaced as a whole on each change to it, which costs
/// O(its destinations). Destinations are in the kernel's list order, newest first.
/// Thread: immutable.
struct Service {
    ServiceId id;
    ipvs::ServiceKey key;
    SchedulerKind scheduler = SchedulerKind::none;
    ipvs::ServiceFlags flags;
    Ticks persistence_timeout = 0;
    std::uint32_t netmask = ~0U;  ///< as ipvs::ServiceSpec
    bool has_masquerade = false;  ///< some destination needs replies to meet the request's owner
    std::vector<ServiceDestination> destinations;
    std::uint64_t version = 0;             ///< of `destinations`; grows with each change
    std::vector<ScheduleChange> changes;   ///< oldest first, the last one has `version`
    /// dh, sh, mh: bucket → position in `destinations`, `empty_bucket` if none.
    std::vector<std::uint32_t> buckets;
    static constexpr std::uint32_t empty_bucket = ~0U;
};

}  // namespace nlvs::forwarding
