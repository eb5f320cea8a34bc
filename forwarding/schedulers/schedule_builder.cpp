#include "forwarding/schedulers/schedule_builder.hpp"

#include "forwarding/schedulers/destination_hash.hpp"
#include "forwarding/schedulers/maglev.hpp"
#include "forwarding/schedulers/source_hash.hpp"
#include "forwarding/schedulers/weighted_round_robin.hpp"

#include <algorithm>
#include <numeric>

namespace nlvs::forwarding {
namespace {

/// How many changes a worker may sleep through and still come out exactly where the kernel's
/// scheduler would. One that has never picked always does.
constexpr std::size_t max_changes = 64;

/// wrr "mw" and "di". Linux: ip_vs_wrr.c ip_vs_wrr_gcd_weight, ip_vs_wrr_max_weight.
void measure_weights(const Service& service, ScheduleChange& change) {
    std::int32_t divisor = 0;
    std::int32_t maximum = 0;
    for (const auto& destination : service.destinations) {
        if (destination.weight <= 0) continue;
        divisor = std::gcd(divisor, destination.weight);
        maximum = std::max(maximum, destination.weight);
    }
    change.divisor = std::max(divisor, 1);
    change.maximum_weight = maximum - (change.divisor - 1);
}

std::vector<std::uint32_t> build_buckets(const Service& service) {
    switch (service.scheduler) {
        case SchedulerKind::dh:
            return destination_hash::build(service);
        case SchedulerKind::sh:
            return source_hash::build(service);
        case SchedulerKind::mh:
            return maglev::build(service);
        case SchedulerKind::none:
        case SchedulerKind::rr:
        case SchedulerKind::wrr:
        case SchedulerKind::lc:
        case SchedulerKind::wlc:
        case SchedulerKind::lblc:
        case SchedulerKind::lblcr:
        case SchedulerKind::sed:
        case SchedulerKind::nq:
        case SchedulerKind::fo:
        case SchedulerKind::ovf:
        case SchedulerKind::twos:
            break;
    }
    return {};
}

}  // namespace

void ScheduleBuilder::bind(Service& next) {
    ScheduleChange change;
    change.version = ++version_;
    measure_weights(next, change);
    change.current_weight = change.maximum_weight;
    next.version = change.version;
    next.bound_version = change.version;
    next.changes = {change};
    next.buckets = build_buckets(next);
}

void ScheduleBuilder::destination_changed(Service& next, const Service& previous) {
    append(next, previous, {});
}

void ScheduleBuilder::destination_removed(Service& next, const Service& previous) {
    ScheduleChange change;
    for (std::size_t i = 0; i < previous.destinations.size(); ++i) {
        const DestinationId id = previous.destinations[i].id;
        if (i < next.destinations.size() && next.destinations[i].id == id) continue;
        change.removed = id;
        if (i > 0) change.predecessor_of_removed = previous.destinations[i - 1].id;
        break;
    }
    append(next, previous, change);
}

void ScheduleBuilder::service_edited(Service& next, const Service& previous) {
    next.version = previous.version;
    next.bound_version = previous.bound_version;
    next.changes = previous.changes;
    next.buckets = previous.buckets;
}

void ScheduleBuilder::append(Service& next, const Service& previous, ScheduleChange change) {
    change.version = ++version_;
    measure_weights(next, change);
    change.current_weight = weighted_round_robin::adjusted_weight(
        previous.changes.back().current_weight, change.maximum_weight, change.divisor
    );
    next.version = change.version;
    next.bound_version = previous.bound_version;
    next.changes = previous.changes;
    next.changes.push_back(change);
    if (next.changes.size() > max_changes) next.changes.erase(next.changes.begin());
    next.buckets = build_buckets(next);
}

}  // namespace nlvs::forwarding
