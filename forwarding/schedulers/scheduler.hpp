#pragma once

#include "forwarding/config/service.hpp"
#include "forwarding/schedulers/schedule_input.hpp"
#include "forwarding/schedulers/scheduler_state.hpp"

#include <optional>
#include <string_view>

namespace nlvs::forwarding {

/// Choosing a destination for a new connection. One algorithm per file, each a function of the
/// service, the packet and what this worker remembers; this file only dispatches.

/// The kernel's names: "rr", "wrr" … and "none". Empty for any other.
std::optional<SchedulerKind> parse_scheduler(std::string_view name) noexcept;
std::string_view print(SchedulerKind kind) noexcept;

/// Where a new connection goes, null if nowhere. Valid as long as `service`. `state` is the
/// calling worker's for this service's slot, brought up to the service's version first.
/// Thread: worker.
const ServiceDestination* pick(
    const Service& service, const ScheduleInput& input, SchedulerState& state
) noexcept;

/// Brings `state` through the changes since the version it has seen; forgets everything if the
/// slot now holds another service or another scheduler. pick does it by itself.
void catch_up(const Service& service, SchedulerState& state) noexcept;

}  // namespace nlvs::forwarding
