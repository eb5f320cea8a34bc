#include "daemon/control_plane.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "compat/procfs/kernel_clock.hpp"

namespace nlvs::daemon {
namespace {

using ipvs::Error;
using ipvs::Result;

/// Linux: ip_vs_ctl.c ip_vs_set_timeout — a value must fit an int of jiffies.
constexpr std::uint32_t maximum_timeout =
    static_cast<std::uint32_t>(std::numeric_limits<std::int32_t>::max()) /
    procfs::jiffies_per_second;

std::vector<const forwarding::WorkerCounters*> counters_of(const std::vector<WorkerAccess>& workers) {
    std::vector<const forwarding::WorkerCounters*> result;
    for (const auto& worker : workers) result.push_back(worker.counters);
    return result;
}

}  // namespace

ControlPlane::ControlPlane(
    forwarding::Configuration& configuration, forwarding::Reclaimer& reclaimer,
    std::vector<WorkerAccess> workers, DestinationTracker& tracker,
    SyncDaemons::InterfaceMtu interface_mtu
)
    : configuration_{configuration},
      reclaimer_{reclaimer},
      registry_{[&tracker](const net::IpAddress& address) { return tracker.address_type(address); }},
      publisher_{configuration, reclaimer, workers, tracker},
      unbound_{publisher_},
      statistics_{counters_of(workers)},
      sync_daemons_{std::move(interface_mtu)} {
    publish_settings();
}

Result<void> ControlPlane::add_service(const ipvs::ServiceKey& key, const ipvs::ServiceSpec& spec) {
    const auto service = registry_.add_service(key, spec);
    if (!service) return std::unexpected{service.error()};
    if (!publisher_.add_service(**service)) {
        static_cast<void>(registry_.remove_service(key));
        return std::unexpected{Error::no_memory};
    }
    statistics_.add_service((*service)->id);
    if (observer_ != nullptr) observer_->service_stored(**service);
    return {};
}

Result<void> ControlPlane::edit_service(
    const ipvs::ServiceKey& key, const ipvs::ServiceSpec& spec
) {
    const auto service = registry_.edit_service(key, spec);
    if (!service) return std::unexpected{service.error()};
    publisher_.edit_service(**service);
    if (observer_ != nullptr) observer_->service_stored(**service);
    return {};
}

Result<void> ControlPlane::remove_service(const ipvs::ServiceKey& key) {
    const RegisteredService* service = registry_.find(key);
    if (service == nullptr) return std::unexpected{Error::no_such_service};
    if (observer_ != nullptr) observer_->service_removed(*service);
    remove(*service);
    destinations_gone();
    return {};
}

void ControlPlane::remove(const RegisteredService& service) {
    publisher_.remove_service(service);
    for (const auto& destination : service.destinations) statistics_.detach(destination->id);
    statistics_.remove_service(service.id);
    const ipvs::ServiceKey key = service.key;
    static_cast<void>(registry_.remove_service(key));
}

Result<ipvs::ServiceView> ControlPlane::find_service(const ipvs::ServiceKey& key) const {
    const RegisteredService* service = registry_.find(key);
    if (service == nullptr) return std::unexpected{Error::no_such_service};
    return view(*service);
}

bool ControlPlane::has_service(const ipvs::ServiceKey& key) const {
    return registry_.find(key) != nullptr;
}

ipvs::Cursor ControlPlane::visit_services(ipvs::Cursor from, const ServiceVisitor& visitor) const {
    return registry_.visit_services(from, [&](const RegisteredService& service) {
        return visitor(view(service));
    });
}

std::uint32_t ControlPlane::count_services(ipvs::Family family) const {
    return registry_.count(family);
}

Result<void> ControlPlane::add_destination(
    const ipvs::ServiceKey& key, const ipvs::DestinationSpec& spec
) {
    RegisteredService* service = registry_.find(key);
    if (service == nullptr) return std::unexpected{Error::no_such_service};
    const auto added = registry_.add_destination(*service, spec);
    if (!added) return std::unexpected{added.error()};
    return attach(*service, *added);
}

Result<void> ControlPlane::restore_destination(
    const ipvs::ServiceKey& key, const ipvs::DestinationSpec& spec, std::int32_t last_weight
) {
    RegisteredService* service = registry_.find(key);
    if (service == nullptr) return std::unexpected{Error::no_such_service};
    const auto added =
        registry_.add_destination(*service, spec, ServiceRegistry::Address::accepted_before);
    if (!added) return std::unexpected{added.error()};
    added->destination->last_weight = last_weight;
    return attach(*service, *added);
}

Result<void> ControlPlane::attach(
    RegisteredService& service, const ServiceRegistry::AddedDestination& added
) {
    RegisteredDestination& destination = *added.destination;
    if (!publisher_.assign_slot(destination)) {
        registry_.discard_destination(service, destination);
        return std::unexpected{Error::no_memory};
    }
    const auto* marked = std::get_if<ipvs::FirewallMarkKey>(&service.key);
    note_mark(destination.id, marked != nullptr ? marked->mark : 0);
    // Before the first packet can be counted.
    statistics_.attach(destination.id, service.id, added.origin);
    publisher_.add_destination(service, destination);
    if (observer_ != nullptr) observer_->destination_stored(service, destination);
    return {};
}

Result<void> ControlPlane::edit_destination(
    const ipvs::ServiceKey& key, const ipvs::DestinationSpec& spec
) {
    RegisteredService* service = registry_.find(key);
    if (service == nullptr) return std::unexpected{Error::no_such_service};
    const RegisteredDestination* present = service->find(spec.key);
    const ipvs::DestinationSpec before = present != nullptr ? present->spec : ipvs::DestinationSpec{};
    const auto edited = registry_.edit_destination(*service, spec);
    if (!edited) return std::unexpected{edited.error()};
    publisher_.edit_destination(*service, **edited, before);
    if (observer_ != nullptr) observer_->destination_stored(*service, **edited);
    return {};
}

Result<void> ControlPlane::remove_destination(
    const ipvs::ServiceKey& key, const ipvs::DestinationKey& destination
) {
    RegisteredService* service = registry_.find(key);
    if (service == nullptr) return std::unexpected{Error::no_such_service};
    RegisteredDestination* present = service->find(destination);
    if (present == nullptr) return std::unexpected{Error::no_such_destination};
    publisher_.disable_destination(*service, *present);
    statistics_.detach(present->id);
    registry_.trash_destination(*service, *present);
    publisher_.destination_removed(*service);
    if (observer_ != nullptr) observer_->destination_removed(*service, destination);
    destinations_gone();
    return {};
}

ipvs::Cursor ControlPlane::visit_destinations(
    const ipvs::ServiceKey& key, ipvs::Cursor from, const DestinationVisitor& visitor
) const {
    const RegisteredService* service = registry_.find(key);
    if (service == nullptr) return end;
    return service->visit_destinations(from, [&](const RegisteredDestination& destination) {
        return visitor(view(destination));
    });
}

/// Linux: ip_vs_ctl.c ip_vs_zero_all, ip_vs_zero_service — destinations in the trash keep theirs.
Result<void> ControlPlane::zero(const std::optional<ipvs::ServiceKey>& key) {
    if (key) {
        const RegisteredService* service = registry_.find(*key);
        if (service == nullptr) return std::unexpected{Error::no_such_service};
        zero(*service);
        return {};
    }
    registry_.visit_services(0, [this](const RegisteredService& service) {
        zero(service);
        return true;
    });
    statistics_.zero_totals();
    return {};
}

void ControlPlane::zero(const RegisteredService& service) {
    for (const auto& destination : service.destinations) {
        statistics_.zero_destination(destination->id);
    }
    statistics_.zero_service(service.id);
}

void ControlPlane::flush() {
    std::vector<const RegisteredService*> services;
    services.reserve(registry_.size());
    registry_.visit_services(0, [&services](const RegisteredService& service) {
        services.push_back(&service);
        return true;
    });
    for (const RegisteredService* service : services) remove(*service);
    if (services.empty()) return;
    if (observer_ != nullptr) observer_->flushed();
    destinations_gone();
}

Result<void> ControlPlane::set_timeouts(const ipvs::Timeouts& timeouts) {
    for (const std::uint32_t value : {timeouts.tcp, timeouts.tcp_fin, timeouts.udp}) {
        if (value > maximum_timeout) return std::unexpected{Error::invalid_argument};
    }
    if (timeouts.tcp != 0) timeouts_.tcp = timeouts.tcp;
    if (timeouts.tcp_fin != 0) timeouts_.tcp_fin = timeouts.tcp_fin;
    if (timeouts.udp != 0) timeouts_.udp = timeouts.udp;
    publish_settings();
    if (observer_ != nullptr) observer_->timeouts_stored(timeouts_);
    return {};
}

bool ControlPlane::mixes_families() const { return registry_.has_mixed_families(); }

/// Linux: ip_vs_ctl.c ip_vs_genl_new_daemon, then ip_vs_sync.c start_sync_thread.
Result<void> ControlPlane::start_daemon(const ipvs::SyncDaemonConfig& config) {
    return start(config, SyncRoute::asked);
}

Result<void> ControlPlane::start(
    const ipvs::SyncDaemonConfig& config, SyncRoute route
) {
    if (!config.group.is_any() && !SyncDaemons::is_group(config.group)) {
        return std::unexpected{Error::invalid_argument};
    }
    auto started = sync_daemons_.start(config, route);
    sync_changed(started.has_value());
    return started;
}

Result<void> ControlPlane::stop_daemon(std::uint32_t state) {
    auto stopped = sync_daemons_.stop(state);
    sync_changed(stopped.has_value());
    return stopped;
}

void ControlPlane::sync_changed(bool changed) {
    registry_.set_mixed_families_allowed(!sync_daemons_.running());
    if (!changed) return;
    if (sync_daemons_.runs(SyncRole::backup)) {
        configuration_.takes_synced.store(true, std::memory_order_relaxed);
    }
    publish_settings();
    if (observer_ != nullptr) observer_->sync_daemons_stored(daemons());
}

std::optional<forwarding::DestinationId> ControlPlane::destination_of(
    const ipvs_sync::Connection& connection
) {
    const RegisteredService* service = registry_.find_for(
        {connection.protocol, connection.virtual_address, connection.virtual_port},
        connection.firewall_mark
    );
    if (service != nullptr) {
        const auto method = connection.flags & ipvs_sync::Flags::forwarding_mask;
        const bool any_first = connection.firewall_mark != 0 && method != 0;
        const net::Port given = connection.destination_port;
        for (const net::Port port : {any_first ? net::Port{} : given, any_first ? given : net::Port{}}) {
            const auto* found = service->find({connection.destination, port});
            if (found != nullptr) return found->id;
        }
    }
    const auto id = unbound_.find_or_make(connection, UnboundDestinations::Clock::now());
    if (id) note_mark(*id, connection.firewall_mark);
    return id;
}

void ControlPlane::note_mark(forwarding::DestinationId id, std::uint32_t mark) {
    if (id.value >= marks_.size()) marks_.resize(id.value + 1);
    marks_[id.value] = mark;
}

std::vector<ipvs::SyncDaemonConfig> ControlPlane::daemons() const { return sync_daemons_.list(); }

void ControlPlane::set_sysctls(const ipvs::Sysctls& sysctls) {
    const bool routes_answers_anew = sysctls.snat_reroute != sysctls_.snat_reroute;
    sysctls_ = sysctls;
    forwarding::follow_memory(sysctls_, available_pages_);
    publish_settings();
    if (routes_answers_anew) {
        configuration_.routing_generation.fetch_add(1, std::memory_order_release);
    }
    if (observer_ != nullptr) observer_->sysctls_stored(sysctls_);
}

void ControlPlane::tick_defences(std::int64_t available_pages) {
    available_pages_ = available_pages;
    const auto is_automatic = [](std::int32_t mode) { return mode == 1 || mode == 2; };
    if (is_automatic(sysctls_.drop_entry) || is_automatic(sysctls_.drop_packet) ||
        is_automatic(sysctls_.secure_tcp)) {
        forwarding::follow_memory(sysctls_, available_pages_);
        publish_settings();
    }
}

std::chrono::milliseconds ControlPlane::tick_statistics() {
    // Linux: ip_vs_est.c estimation_timer — snapshots and rates freeze.
    if (sysctls_.run_estimation == 0) return StatisticsReader::period;
    return statistics_.tick();
}

void ControlPlane::scan_trash(DestinationTrash::Clock::time_point now) {
    unbound_.scan(now);
    registry_.trash().scan(
        now,
        [this](const RegisteredDestination& destination) {
            return publisher_.is_referenced(destination.id);
        },
        [this](const RegisteredDestination& destination) {
            publisher_.release_destination(destination.id);
        }
    );
}

ipvs::ServiceView ControlPlane::view(const RegisteredService& service) const {
    return {
        service.key, service.spec, static_cast<std::uint32_t>(service.destinations.size()),
        statistics_.service(service.id)
    };
}

ipvs::DestinationView ControlPlane::view(const RegisteredDestination& destination) const {
    const auto& totals = publisher_.totals(destination.id);
    const std::uint32_t active = totals.active.load(std::memory_order_relaxed);
    const std::uint32_t all = totals.connections.load(std::memory_order_relaxed);
    return {
        destination.spec, active, all > active ? all - active : 0,
        totals.persistent.load(std::memory_order_relaxed), statistics_.destination(destination.id)
    };
}

void ControlPlane::destinations_gone() {
    if (sysctls_.expire_nodest_conn != 0 && expire_connections_) expire_connections_();
}

void ControlPlane::publish_settings() {
    auto settings = std::make_unique<forwarding::Settings>(
        forwarding::make_settings(timeouts_, sysctls_, available_pages_)
    );
    settings->sync_master = sync_daemons_.runs(SyncRole::master);
    settings->passive = sysctls_.backup_only != 0 && sync_daemons_.runs(SyncRole::backup);
    configuration_.settings.publish(std::move(settings), reclaimer_);
}

}  // namespace nlvs::daemon
