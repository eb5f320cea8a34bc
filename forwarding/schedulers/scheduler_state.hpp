#pragma once

#include "forwarding/identifiers.hpp"
#include "forwarding/schedulers/locality_cache.hpp"

#include <cstdint>
#include <memory>

namespace nlvs::forwarding {

/// What one worker remembers of one service's scheduler. Default-constructed means "has never
/// picked"; scheduler.hpp brings it up to the service's version before each pick.
///
/// Each worker runs the kernel's algorithm on its own share of the connections. For rr and wrr
/// the worker's sequence is exact. In the sum over W workers two rr destinations differ by at most
/// W connections; a wrr destination is off its share by at most 2 W weight / divisor, where the
/// divisor is the greatest common one of the weights.
/// Thread: the owning worker.
struct SchedulerState {
    std::uint64_t version = 0;                ///< of the Service last seen
    DestinationId cursor;                     ///< rr, wrr: last used; none is the head of the list
    std::uint32_t next = 0;                   ///< rr, wrr: position after the cursor
    std::int32_t current_weight = 0;          ///< wrr "cw"
    std::unique_ptr<LocalityCache> locality;  ///< lblc, lblcr; made at the first pick
};

}  // namespace nlvs::forwarding
