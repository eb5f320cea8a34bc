#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "daemon/destination_tracker.hpp"
#include "daemon/registered.hpp"
#include "daemon/slot_allocator.hpp"
#include "daemon/worker_access.hpp"
#include "forwarding/config/configuration.hpp"
#include "forwarding/schedulers/schedule_builder.hpp"

namespace nlvs::daemon {

/// Makes configured services visible to workers: slots for destinations, one immutable node per
/// service. A change costs O(destinations of the touched service) and is visible to every worker
/// when the call returns.
///
/// Slots. A destination's slot exists on every worker before anything names it. It outlives the
/// deletion of the destination (connections hold its id) until the trash gives it up, and is
/// reused one grace period later. A service's slot is reused one grace period after its removal;
/// schedule versions never repeat, so workers recognise the former owner's scheduler state.
/// Thread: control.
class Publisher {
public:
    Publisher(
        forwarding::Configuration& configuration, forwarding::Reclaimer& reclaimer,
        std::vector<WorkerAccess> workers, DestinationTracker& tracker
    );
    Publisher(const Publisher&) = delete;
    Publisher& operator=(const Publisher&) = delete;

    /// Gives the service a slot and publishes it. False when slots are exhausted.
    bool add_service(RegisteredService& service);
    /// Its scheduler, flags, timeout or mask changed.
    void edit_service(const RegisteredService& service);
    /// Takes the service from the workers and its destinations out of use.
    void remove_service(const RegisteredService& service);

    /// Gives the destination a slot unless it has one from before. False when slots are exhausted.
    bool assign_slot(RegisteredDestination& destination);
    /// `destination`, already in the service's list and with a slot, becomes usable.
    void add_destination(
        const RegisteredService& service, const RegisteredDestination& destination
    );
    /// `destination` had the values `before`.
    void edit_destination(
        const RegisteredService& service, const RegisteredDestination& destination,
        const ipvs::DestinationSpec& before
    );
    /// Packets of its connections are dropped from now on; the slot stays. Call while the
    /// destination is still registered, destination_removed afterwards.
    void disable_destination(
        const RegisteredService& service, const RegisteredDestination& destination
    );
    /// One destination has left the service's list.
    void destination_removed(const RegisteredService& service);

    /// A stand-in that is of no service. False when slots are exhausted. See UnboundDestinations.
    bool add_unbound(RegisteredDestination& destination, bool available);
    void remove_unbound(const RegisteredDestination& destination);

    bool is_referenced(forwarding::DestinationId id) const noexcept;
    /// Nobody refers to it: the slot becomes free after a grace period.
    void release_destination(forwarding::DestinationId id);

    const forwarding::DestinationSlot::Totals& totals(forwarding::DestinationId id) const noexcept {
        return configuration_.destinations[id.value].totals;
    }

    std::uint32_t destinations_in_use() const noexcept { return slots_->destinations.in_use(); }

private:
    struct Slots {
        SlotAllocator<forwarding::DestinationId> destinations{forwarding::bypass_destination.value};
        SlotAllocator<forwarding::ServiceId> services{forwarding::DestinationTable::capacity};
    };

    std::unique_ptr<forwarding::Service> make_node(const RegisteredService& service);
    void count_special(const ipvs::ServiceKey& key, int direction) noexcept;
    void store_limits(const RegisteredDestination& destination) noexcept;
    void track(const RegisteredDestination& destination);
    void add_real_server(const RegisteredService& service, const ipvs::DestinationSpec& spec);
    void remove_real_server(const RegisteredService& service, const ipvs::DestinationSpec& spec);
    void add_calling_server(
        const RegisteredService& service, const RegisteredDestination& destination
    );
    void remove_calling_server(const RegisteredService& service, const ipvs::DestinationSpec& spec);

    forwarding::Configuration& configuration_;
    forwarding::Reclaimer& reclaimer_;
    std::vector<WorkerAccess> workers_;
    DestinationTracker& tracker_;
    std::shared_ptr<Slots> slots_;  ///< shared with the reclaimer's actions, which may run last
    forwarding::ScheduleBuilder schedules_;
};

}  // namespace nlvs::daemon
