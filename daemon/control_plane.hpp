#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "compat/ipvs/control.hpp"
#include "compat/ipvs_sync/connection.hpp"
#include "daemon/change_observer.hpp"
#include "daemon/destination_tracker.hpp"
#include "daemon/publisher.hpp"
#include "daemon/service_registry.hpp"
#include "daemon/statistics_reader.hpp"
#include "daemon/sync_daemons.hpp"
#include "daemon/unbound_destinations.hpp"
#include "daemon/worker_access.hpp"
#include "forwarding/config/configuration.hpp"

namespace nlvs::daemon {

/// IPVS: the verbs, on top of the registry (what is configured), the publisher (what workers
/// see) and the statistics. No I/O and no timers: whoever owns it calls the periodic verbs.
/// Thread: control.
class ControlPlane final : public ipvs::Control {
public:
    /// `workers` may be empty: everything but packets works. `tracker` outlives the control plane.
    ControlPlane(
        forwarding::Configuration& configuration, forwarding::Reclaimer& reclaimer,
        std::vector<WorkerAccess> workers, DestinationTracker& tracker,
        SyncDaemons::InterfaceMtu interface_mtu = kernel_interface_mtu
    );

    ipvs::Result<void> add_service(
        const ipvs::ServiceKey& key, const ipvs::ServiceSpec& spec
    ) override;
    ipvs::Result<void> edit_service(
        const ipvs::ServiceKey& key, const ipvs::ServiceSpec& spec
    ) override;
    ipvs::Result<void> remove_service(const ipvs::ServiceKey& key) override;
    ipvs::Result<ipvs::ServiceView> find_service(const ipvs::ServiceKey& key) const override;
    bool has_service(const ipvs::ServiceKey& key) const override;
    ipvs::Cursor visit_services(ipvs::Cursor from, const ServiceVisitor& visitor) const override;
    std::uint32_t count_services(ipvs::Family family) const override;

    ipvs::Result<void> add_destination(
        const ipvs::ServiceKey& key, const ipvs::DestinationSpec& spec
    ) override;
    ipvs::Result<void> edit_destination(
        const ipvs::ServiceKey& key, const ipvs::DestinationSpec& spec
    ) override;
    ipvs::Result<void> remove_destination(
        const ipvs::ServiceKey& key, const ipvs::DestinationKey& destination
    ) override;
    ipvs::Cursor visit_destinations(
        const ipvs::ServiceKey& key, ipvs::Cursor from, const DestinationVisitor& visitor
    ) const override;

    ipvs::Result<void> zero(const std::optional<ipvs::ServiceKey>& key) override;
    void flush() override;

    ipvs::Timeouts timeouts() const override { return timeouts_; }
    ipvs::Result<void> set_timeouts(const ipvs::Timeouts& timeouts) override;

    bool mixes_families() const override;
    ipvs::Result<void> start_daemon(const ipvs::SyncDaemonConfig& config) override;
    ipvs::Result<void> stop_daemon(std::uint32_t state) override;
    std::vector<ipvs::SyncDaemonConfig> daemons() const override;

    ipvs::Information information() const override { return {}; }
    ipvs::Statistics totals() const override { return statistics_.totals(); }

    const ipvs::Sysctls& sysctls() const noexcept { return sysctls_; }

    const forwarding::FtpPorts& ftp_ports() const noexcept { return configuration_.ftp_ports; }
    /// Already validated; visible to workers on return.
    void set_sysctls(const ipvs::Sysctls& sysctls);

    /// Once a second: the defences drop_entry, drop_packet and secure_tcp follow the host's free
    /// and buffered memory.
    void tick_defences(std::int64_t available_pages);

    const StatisticsReader& statistics() const noexcept { return statistics_; }

    const ServiceRegistry& registry() const noexcept { return registry_; }

    /// Told of every change from now on; null for nobody. It outlives its last change.
    void set_observer(ChangeObserver* observer) noexcept { observer_ = observer; }

    /// Adds a destination that was accepted before, wherever its address leads by now.
    ipvs::Result<void> restore_daemon(const ipvs::SyncDaemonConfig& config) {
        return start(config, SyncRoute::assumed);
    }
    ipvs::Result<void> restore_destination(
        const ipvs::ServiceKey& key, const ipvs::DestinationSpec& spec, std::int32_t last_weight
    );

    /// Who does the sync daemons' work; null for nobody.
    void set_sync_runner(SyncRunner* runner) noexcept { sync_daemons_.set_runner(runner); }

    /// Where another director's connection or template leads here: the destination that a packet's
    /// look-up would find, else a stand-in; none when there is no room for that.
    /// Linux: ip_vs_ctl.c ip_vs_find_dest.
    std::optional<forwarding::DestinationId> destination_of(
        const ipvs_sync::Connection& connection
    );

    /// The slot with that number; null when there was never one.
    const forwarding::DestinationSlot* slot(forwarding::DestinationId id) const noexcept {
        return id.value < marks_.size() ? &configuration_.destinations[id.value] : nullptr;
    }

    /// The mark of the service that the destination was last attached to, or 0.
    std::uint32_t firewall_mark(forwarding::DestinationId id) const noexcept {
        return marks_[id.value];
    }

    /// Slots in use: destinations of services and those in the trash.
    std::uint32_t destinations_in_use() const noexcept { return publisher_.destinations_in_use(); }

    /// A step of the statistics; returns when to take the next one.
    std::chrono::milliseconds tick_statistics();
    /// Frees deleted destinations that nobody uses any more; every DestinationTrash::scan_period.
    void scan_trash(DestinationTrash::Clock::time_point now);

    /// Called after destinations went away while sysctl expire_nodest_conn is set.
    void set_expire_connections(std::function<void()> action) {
        expire_connections_ = std::move(action);
    }

private:
    ipvs::Result<void> attach(
        RegisteredService& service, const ServiceRegistry::AddedDestination& added
    );
    ipvs::ServiceView view(const RegisteredService& service) const;
    ipvs::DestinationView view(const RegisteredDestination& destination) const;
    void remove(const RegisteredService& service);
    void zero(const RegisteredService& service);
    ipvs::Result<void> start(const ipvs::SyncDaemonConfig& config, SyncRoute route);
    void note_mark(forwarding::DestinationId id, std::uint32_t mark);
    void sync_changed(bool changed);
    void destinations_gone();
    void publish_settings();

    forwarding::Configuration& configuration_;
    forwarding::Reclaimer& reclaimer_;
    ServiceRegistry registry_;
    Publisher publisher_;
    UnboundDestinations unbound_;
    std::vector<std::uint32_t> marks_;  ///< by DestinationId
    StatisticsReader statistics_;
    SyncDaemons sync_daemons_;
    ipvs::Timeouts timeouts_;
    ipvs::Sysctls sysctls_;
    std::int64_t available_pages_ = forwarding::plenty_of_memory;
    std::function<void()> expire_connections_;
    ChangeObserver* observer_ = nullptr;
};

}  // namespace nlvs::daemon
