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
    DestinationId removed;                 ///< none unless a destination left
    DestinationId predecessor_of_removed;  ///< none: it was the first
    std::int32_t maximum_weight = 0;       ///< wrr "mw" after the change
    std::int32_t divisor = 1;              ///< wrr "di" after the change
    std::int32_t current_weight = 0;       ///< wrr "cw" of a worker that has picked nothing yet
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
    bool by_call_id = false;  ///< persistence engine "sip"
    std::vector<ServiceDestination> destinations;
    /// Of `destinations`; grows with each change and never repeats, not even across services, so
    /// that a worker notices a re-used slot. Set by ScheduleBuilder, as all that follows.
    std::uint64_t version = 0;
    std::uint64_t bound_version = 0;  ///< the version at which the scheduler was attached
    /// Oldest first, the last one has `version`. The first stands for everything up to its
    /// version: a state older than it starts over or catches up as well as it can.
    std::vector<ScheduleChange> changes;
    /// dh, sh, mh: bucket → position in `destinations`, `empty_bucket` if none.
    std::vector<std::uint32_t> buckets;
    static constexpr std::uint32_t empty_bucket = ~0U;
};

}  // namespace nlvs::forwarding
