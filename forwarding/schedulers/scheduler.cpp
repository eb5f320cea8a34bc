#include "forwarding/schedulers/scheduler.hpp"

#include "forwarding/schedulers/destination_hash.hpp"
#include "forwarding/schedulers/least_connection.hpp"
#include "forwarding/schedulers/locality_lblc.hpp"
#include "forwarding/schedulers/locality_lblcr.hpp"
#include "forwarding/schedulers/maglev.hpp"
#include "forwarding/schedulers/never_queue.hpp"
#include "forwarding/schedulers/round_robin.hpp"
#include "forwarding/schedulers/shortest_expected_delay.hpp"
#include "forwarding/schedulers/source_hash.hpp"
#include "forwarding/schedulers/weighted_failover.hpp"
#include "forwarding/schedulers/weighted_least_connection.hpp"
#include "forwarding/schedulers/weighted_overflow.hpp"
#include "forwarding/schedulers/weighted_random_twos.hpp"
#include "forwarding/schedulers/weighted_round_robin.hpp"

#include <array>
#include <utility>

namespace nlvs::forwarding {
namespace {

using enum SchedulerKind;

constexpr std::array<std::pair<SchedulerKind, std::string_view>, 15> names{{
    {none, "none"},
    {rr, "rr"},
    {wrr, "wrr"},
    {lc, "lc"},
    {wlc, "wlc"},
    {lblc, "lblc"},
    {lblcr, "lblcr"},
    {dh, "dh"},
    {sh, "sh"},
    {mh, "mh"},
    {sed, "sed"},
    {nq, "nq"},
    {fo, "fo"},
    {ovf, "ovf"},
    {twos, "twos"},
}};

void replay(SchedulerKind kind, const ScheduleChange& change, SchedulerState& state) noexcept {
    if (kind == rr) round_robin::replay(change, state);
    if (kind == wrr) weighted_round_robin::replay(change, state);
}

/// Finds the cursor again in a list that has shifted; one that is gone starts over.
void relocate(const Service& service, SchedulerState& state) noexcept {
    state.next = 0;
    if (state.cursor.is_none()) return;
    for (std::uint32_t i = 0; i < service.destinations.size(); ++i) {
        if (service.destinations[i].id == state.cursor) state.next = i + 1;
    }
    if (state.next == 0) state.cursor = DestinationId::none();
}

}  // namespace

std::optional<SchedulerKind> parse_scheduler(std::string_view name) noexcept {
    for (const auto& [kind, text] : names) {
        if (text == name) return kind;
    }
    return std::nullopt;
}

std::string_view print(SchedulerKind kind) noexcept {
    for (const auto& [candidate, text] : names) {
        if (candidate == kind) return text;
    }
    return {};
}

void catch_up(const Service& service, SchedulerState& state) noexcept {
    if (service.changes.empty()) return;
    const ScheduleChange& first = service.changes.front();
    if (state.version < service.bound_version || state.version > service.version) {
        state = SchedulerState{};
        state.current_weight = first.current_weight;
        state.version = first.version;
    }
    for (const auto& change : service.changes) {
        if (change.version > state.version) replay(service.scheduler, change, state);
    }
    relocate(service, state);
    state.version = service.version;
}

const ServiceDestination* pick(
    const Service& service, const ScheduleInput& input, SchedulerState& state
) noexcept {
    if (state.version != service.version) [[unlikely]]
        catch_up(service, state);
    switch (service.scheduler) {
        case none:
            return nullptr;
        case rr:
            return round_robin::pick(service, state);
        case wrr:
            return weighted_round_robin::pick(service, state);
        case lc:
            return least_connection::pick(service);
        case wlc:
            return weighted_least_connection::pick(service);
        case lblc:
            return locality_lblc::pick(service, input, state);
        case lblcr:
            return locality_lblcr::pick(service, input, state);
        case dh:
            return destination_hash::pick(service, input.destination);
        case sh:
            return source_hash::pick(service, input);
        case mh:
            return maglev::pick(service, input);
        case sed:
            return shortest_expected_delay::pick(service);
        case nq:
            return never_queue::pick(service);
        case fo:
            return weighted_failover::pick(service);
        case ovf:
            return weighted_overflow::pick(service);
        case twos:
            return weighted_random_twos::pick(service, input.random);
    }
    return nullptr;
}

}  // namespace nlvs::forwarding
