#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "daemon/worker_access.hpp"
#include "forwarding/config/configuration.hpp"
#include "forwarding/connections/persistence.hpp"
#include "forwarding/nic/doorbell.hpp"
#include "forwarding/nic/ethernet_port.hpp"
#include "forwarding/worker.hpp"

namespace nlvs::daemon {

/// A NIC with its shadow interface, both configured with one queue for each worker and started.
struct GroupPort {
    const forwarding::EthernetPort* nic = nullptr;
    const forwarding::EthernetPort* shadow = nullptr;  ///< null: nothing is punted or injected
};

struct WorkerGroupSettings {
    std::uint16_t workers = 1;
    std::uint32_t maximum_connections = 4'000'000;  ///< of each family, all workers together
    bool adaptive = true;
    forwarding::PuntRates punt_rates;  ///< all workers together
};

/// The workers of a daemon and what they share. Made after the ports and before the control
/// plane, which prepares the workers' tables through access().
/// Thread: control.
class WorkerGroup {
public:
    /// How often maintain() wants to be called.
    static constexpr std::chrono::milliseconds maintenance_period{50};

    /// `ports` in the order of their PortIndex. Throws std::bad_alloc, std::runtime_error.
    WorkerGroup(
        forwarding::Configuration& configuration, forwarding::QuiescentState& quiescence,
        const std::vector<GroupPort>& ports, const WorkerGroupSettings& settings,
        const forwarding::Steering& steering
    );
    WorkerGroup(const WorkerGroup&) = delete;
    WorkerGroup& operator=(const WorkerGroup&) = delete;
    /// Stops the workers.
    ~WorkerGroup();

    /// Sends every worker to its lcore. Throws std::runtime_error.
    void start();
    /// Returns when every worker has left its loop.
    void stop() noexcept;

    /// Valid as long as the group.
    std::vector<WorkerAccess> access();

    forwarding::PersistenceTable& templates() noexcept { return templates_; }

    /// As PersistenceTable::visit, now.
    template <class Visitor>
    std::uint32_t visit_templates(std::uint32_t from, std::uint32_t limit, Visitor&& visitor) {
        return templates_.visit(
            from, limit, clock_.read().ticks, std::forward<Visitor>(visitor)
        );
    }

    /// As PersistenceTable::take, now.
    bool take_template(
        const forwarding::TemplateKey& key,
        const forwarding::PersistenceTable::Proposal& proposal, std::uint8_t state
    ) {
        return templates_.take(key, proposal, state, clock_.read().ticks);
    }

    /// Called for templates that live on for their connections; empty for nobody.
    void set_template_kept(std::function<void(forwarding::TemplateId)> kept) {
        template_kept_ = std::move(kept);
    }

    /// As ExpectedConnections::visit, now.
    template <class Visitor>
    std::uint32_t visit_expected(std::uint32_t from, Visitor&& visitor) {
        return shared_.expected.visit(from, clock_.read().ticks, std::forward<Visitor>(visitor));
    }

    /// FTP control connections to one of the FtpPorts.
    std::uint32_t control_connections(std::size_t port) const noexcept {
        return shared_.controls.users(port);
    }

    const forwarding::Steering& steering() const noexcept { return shared_.steering; }

    std::uint16_t size() const noexcept { return static_cast<std::uint16_t>(workers_.size()); }

    const forwarding::WorkerState& worker(forwarding::WorkerId id) const noexcept {
        return workers_[id]->state();
    }

    /// Commits memory ahead of need and ends templates and expected connections whose time is over.
    void maintain() noexcept;

    /// Next neighbour that a worker wants resolved; false when there is none.
    bool next_wanted(forwarding::NeighbourWanted& wanted) noexcept;

private:
    void reserve_sync_ends() noexcept;

    forwarding::Clock clock_;
    forwarding::Ticks last_drop_ = 0;
    forwarding::PersistenceTable templates_;
    forwarding::Shared shared_;
    std::vector<std::unique_ptr<forwarding::Doorbell>> doorbells_;
    std::vector<std::unique_ptr<forwarding::Worker>> workers_;
    std::function<void(forwarding::TemplateId)> template_kept_;
    bool running_ = false;
};

}  // namespace nlvs::daemon
