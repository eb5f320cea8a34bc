#include "daemon/publisher.hpp"

#include <algorithm>
#include <array>
#include <ranges>
#include <span>
#include <utility>

#include "compat/net/ip_protocol.hpp"
#include "compat/procfs/kernel_clock.hpp"
#include "forwarding/schedulers/scheduler.hpp"

namespace nlvs::daemon {
namespace {

using forwarding::DestinationId;
using forwarding::DestinationSlot;
using forwarding::ServiceId;

constexpr net::Port ftp_port{std::uint16_t{21}};

/// Linux keeps the timeout in jiffies, of which there are more in a second than ticks: it fits.
forwarding::Ticks to_ticks(std::uint32_t seconds) noexcept {
    static_assert(forwarding::ticks_per_second < procfs::jiffies_per_second);
    return procfs::kept_seconds(seconds) * forwarding::ticks_per_second;
}

forwarding::ForwardingMethod method_of(const ipvs::DestinationSpec& spec) noexcept {
    return static_cast<forwarding::ForwardingMethod>(spec.forwarding);
}

/// Under which keys replies of a masquerade destination are recognised. A firewall mark covers
/// all protocols; where a packet may keep its own port, port 0 is entered, too.
struct RealServerKeys {
    std::array<forwarding::RealServerKey, 6> keys;
    std::size_t count = 0;

    auto begin() const noexcept { return keys.begin(); }
    auto end() const noexcept { return keys.begin() + static_cast<std::ptrdiff_t>(count); }
};

/// Do connections of the service, or data connections that its connections announce, go to other
/// ports than the destination's? Those of firewall marks may: persistent ones keep the packet's.
bool takes_any_port(const ipvs::EndpointKey& service, const forwarding::FtpPorts& ftp) noexcept {
    const bool tcp = service.protocol == static_cast<std::uint8_t>(net::IpProtocol::tcp);
    return service.port.is_any() || (tcp && (service.port == ftp_port || ftp.find(service.port)));
}

RealServerKeys real_server_keys(
    const ipvs::ServiceKey& service, const ipvs::DestinationSpec& spec,
    const forwarding::FtpPorts& ftp
) {
    RealServerKeys result;
    const auto add = [&](std::uint8_t protocol, net::Port port, bool any) {
        result.keys[result.count++] = {protocol, spec.key.address, port};
        if (any && !port.is_any()) result.keys[result.count++] = {protocol, spec.key.address, {}};
    };
    if (const auto* endpoint = std::get_if<ipvs::EndpointKey>(&service)) {
        const net::Port port = spec.key.port.is_any() ? endpoint->port : spec.key.port;
        add(static_cast<std::uint8_t>(endpoint->protocol), port, takes_any_port(*endpoint, ftp));
        return result;
    }
    for (const auto protocol : {net::IpProtocol::tcp, net::IpProtocol::udp, net::IpProtocol::sctp}) {
        add(static_cast<std::uint8_t>(protocol), spec.key.port, true);
    }
    return result;
}

/// Its real servers may answer in any protocol.
RegisteredService nobody(const RegisteredDestination& destination) {
    RegisteredService service;
    service.key = ipvs::FirewallMarkKey{destination.spec.key.address.family(), 0};
    return service;
}

}  // namespace

Publisher::Publisher(
    forwarding::Configuration& configuration, forwarding::Reclaimer& reclaimer,
    std::vector<WorkerAccess> workers, DestinationTracker& tracker
)
    : configuration_{configuration},
      reclaimer_{reclaimer},
      workers_{std::move(workers)},
      tracker_{tracker},
      slots_{std::make_shared<Slots>()} {
    forwarding::prepare_bypass(configuration_.destinations);
    for (const auto& worker : workers_) {
        worker.counters->destinations.ensure(forwarding::bypass_destination.value);
    }
}

bool Publisher::add_service(RegisteredService& service) {
    const auto id = slots_->services.allocate();
    if (!id) return false;
    for (const auto& worker : workers_) worker.schedulers->ensure(id->value);
    service.id = *id;
    auto node = make_node(service);
    schedules_.bind(*node);
    configuration_.services.insert(std::move(node), reclaimer_);
    count_special(service.key, +1);
    return true;
}

void Publisher::edit_service(const RegisteredService& service) {
    const forwarding::Service& previous = *configuration_.services.find(service.key);
    auto node = make_node(service);
    if (node->scheduler == previous.scheduler) {
        schedules_.service_edited(*node, previous);
    } else {
        schedules_.bind(*node);
    }
    configuration_.services.insert(std::move(node), reclaimer_);
    for (const auto& destination : service.destinations) {
        remove_calling_server(service, destination->spec);
        add_calling_server(service, *destination);
    }
}

void Publisher::remove_service(const RegisteredService& service) {
    count_special(service.key, -1);
    configuration_.services.remove(service.key, reclaimer_);
    for (const auto& destination : service.destinations) disable_destination(service, *destination);
    reclaimer_.retire([slots = slots_, id = service.id] { slots->services.release(id); });
}

bool Publisher::assign_slot(RegisteredDestination& destination) {
    if (!destination.id.is_none()) return true;
    const auto id = slots_->destinations.allocate();
    if (!id) return false;
    configuration_.destinations.ensure(id->value);
    for (const auto& worker : workers_) worker.counters->destinations.ensure(id->value);
    destination.id = *id;
    DestinationSlot& slot = configuration_.destinations[id->value];
    slot.address = destination.spec.key.address;
    slot.port = destination.spec.key.port;
    slot.unbound = false;
    return true;
}

void Publisher::add_destination(
    const RegisteredService& service, const RegisteredDestination& destination
) {
    DestinationSlot& slot = configuration_.destinations[destination.id.value];
    store_limits(destination);
    track(destination);
    add_real_server(service, destination.spec);
    add_calling_server(service, destination);
    slot.available.store(true, std::memory_order_relaxed);
    const forwarding::Service& previous = *configuration_.services.find(service.key);
    auto node = make_node(service);
    schedules_.destination_changed(*node, previous);
    configuration_.services.insert(std::move(node), reclaimer_);
}

void Publisher::edit_destination(
    const RegisteredService& service, const RegisteredDestination& destination,
    const ipvs::DestinationSpec& before
) {
    // The new key is entered before the old one leaves, so that an unchanged one stays known.
    add_real_server(service, destination.spec);
    remove_real_server(service, before);
    remove_calling_server(service, before);
    add_calling_server(service, destination);
    store_limits(destination);
    if (before.forwarding != destination.spec.forwarding ||
        before.tunnel != destination.spec.tunnel) {
        track(destination);
    }
    const forwarding::Service& previous = *configuration_.services.find(service.key);
    auto node = make_node(service);
    schedules_.destination_changed(*node, previous);
    configuration_.services.insert(std::move(node), reclaimer_);
}

void Publisher::disable_destination(
    const RegisteredService& service, const RegisteredDestination& destination
) {
    DestinationSlot& slot = configuration_.destinations[destination.id.value];
    slot.available.store(false, std::memory_order_relaxed);
    remove_real_server(service, destination.spec);
    remove_calling_server(service, destination.spec);
    tracker_.untrack(destination.id);
}

void Publisher::destination_removed(const RegisteredService& service) {
    const forwarding::Service& previous = *configuration_.services.find(service.key);
    auto node = make_node(service);
    schedules_.destination_removed(*node, previous);
    configuration_.services.insert(std::move(node), reclaimer_);
}

bool Publisher::add_unbound(RegisteredDestination& destination, bool available) {
    if (!assign_slot(destination)) return false;
    DestinationSlot& slot = configuration_.destinations[destination.id.value];
    slot.unbound = true;
    store_limits(destination);
    track(destination);
    add_real_server(nobody(destination), destination.spec);
    slot.available.store(available, std::memory_order_relaxed);
    return true;
}

void Publisher::remove_unbound(const RegisteredDestination& destination) {
    DestinationSlot& slot = configuration_.destinations[destination.id.value];
    slot.available.store(false, std::memory_order_relaxed);
    remove_real_server(nobody(destination), destination.spec);
    tracker_.untrack(destination.id);
    release_destination(destination.id);
}

bool Publisher::is_referenced(DestinationId id) const noexcept {
    const auto& slot = totals(id);
    return slot.connections.load(std::memory_order_relaxed) != 0 ||
           slot.persistent.load(std::memory_order_relaxed) != 0;
}

void Publisher::release_destination(DestinationId id) {
    reclaimer_.retire([slots = slots_, id] { slots->destinations.release(id); });
}

std::unique_ptr<forwarding::Service> Publisher::make_node(const RegisteredService& service) {
    auto node = std::make_unique<forwarding::Service>();
    node->id = service.id;
    node->key = service.key;
    node->scheduler = forwarding::parse_scheduler(service.spec.scheduler)
                          .value_or(forwarding::SchedulerKind::none);
    node->flags = service.spec.flags;
    node->persistence_timeout = to_ticks(service.spec.timeout);
    node->netmask = service.spec.netmask;
    node->by_call_id = service.spec.persistence_engine == "sip";
    node->destinations.reserve(service.destinations.size());
    for (const auto& destination : service.destinations | std::views::reverse) {
        const ipvs::DestinationSpec& spec = destination->spec;
        const auto method = method_of(spec);
        node->destinations.push_back({
            destination->id, &configuration_.destinations[destination->id.value], spec.key.address,
            spec.key.port, method, spec.weight, destination->last_weight
        });
    }
    return node;
}

void Publisher::store_limits(const RegisteredDestination& destination) noexcept {
    DestinationSlot& slot = configuration_.destinations[destination.id.value];
    const ipvs::DestinationSpec& spec = destination.spec;
    slot.weight.store(spec.weight, std::memory_order_relaxed);
    slot.method.store(
        static_cast<ipvs::ForwardingMethod>(spec.forwarding), std::memory_order_relaxed
    );
    const bool one_packet = (spec.flags & ipvs::DestinationFlags::one_packet) != 0;
    slot.one_packet.store(one_packet, std::memory_order_relaxed);
    auto& totals = slot.totals;
    // Linux: ip_vs_ctl.c __ip_vs_update_dest — only changed thresholds are looked at again.
    if (totals.upper_threshold.load(std::memory_order_relaxed) == spec.upper_threshold &&
        totals.lower_threshold.load(std::memory_order_relaxed) == spec.lower_threshold) {
        return;
    }
    totals.upper_threshold.store(spec.upper_threshold, std::memory_order_relaxed);
    totals.lower_threshold.store(spec.lower_threshold, std::memory_order_relaxed);
    totals.reevaluate();
}

void Publisher::track(const RegisteredDestination& destination) {
    const ipvs::DestinationSpec& spec = destination.spec;
    tracker_.track(
        destination.id, configuration_.destinations[destination.id.value], spec.key.address,
        method_of(spec), spec.tunnel
    );
}

void Publisher::add_real_server(
    const RegisteredService& service, const ipvs::DestinationSpec& spec
) {
    if (method_of(spec) != forwarding::ForwardingMethod::masquerade) return;
    for (const auto& key : real_server_keys(service.key, spec, configuration_.ftp_ports)) {
        const auto* present = configuration_.real_servers.find(key);
        const std::uint32_t services = present != nullptr ? present->services : 0;
        if (services == 0 && key.port.is_any()) ++configuration_.any_port_servers;
        configuration_.real_servers.insert(
            std::make_unique<forwarding::RealServer>(key, services + 1), reclaimer_
        );
    }
}

void Publisher::remove_real_server(
    const RegisteredService& service, const ipvs::DestinationSpec& spec
) {
    if (method_of(spec) != forwarding::ForwardingMethod::masquerade) return;
    for (const auto& key : real_server_keys(service.key, spec, configuration_.ftp_ports)) {
        const auto* present = configuration_.real_servers.find(key);
        if (present == nullptr) continue;
        if (present->services == 1) {
            if (key.port.is_any()) --configuration_.any_port_servers;
            configuration_.real_servers.remove(key, reclaimer_);
        } else {
            configuration_.real_servers.insert(
                std::make_unique<forwarding::RealServer>(key, present->services - 1), reclaimer_
            );
        }
    }
}

/// Linux: ip_vs_ctl.c ip_vs_rs_hash, ip_vs_pe_sip.c ip_vs_sip_conn_out.
void Publisher::add_calling_server(
    const RegisteredService& service, const RegisteredDestination& destination
) {
    const auto* endpoint = std::get_if<ipvs::EndpointKey>(&service.key);
    const ipvs::DestinationSpec& spec = destination.spec;
    constexpr auto udp = static_cast<std::uint8_t>(net::IpProtocol::udp);
    if (endpoint == nullptr || endpoint->protocol != udp || service.spec.persistence_engine.empty() ||
        method_of(spec) != forwarding::ForwardingMethod::masquerade || spec.key.port.is_any()) {
        return;
    }
    const forwarding::RealServerKey key{udp, spec.key.address, spec.key.port};
    if (configuration_.calling_servers.find(key) == nullptr) {
        configuration_.calling_server_count.fetch_add(1, std::memory_order_relaxed);
    }
    configuration_.calling_servers.insert(
        std::make_unique<forwarding::CallingServer>(key, service.key, destination.id), reclaimer_
    );
}

void Publisher::remove_calling_server(
    const RegisteredService& service, const ipvs::DestinationSpec& spec
) {
    const auto* endpoint = std::get_if<ipvs::EndpointKey>(&service.key);
    if (endpoint == nullptr) return;
    const forwarding::RealServerKey key{
        static_cast<std::uint8_t>(endpoint->protocol), spec.key.address, spec.key.port
    };
    const auto* present = configuration_.calling_servers.find(key);
    if (present == nullptr || present->service != service.key) return;
    configuration_.calling_servers.remove(key, reclaimer_);
    configuration_.calling_server_count.fetch_sub(1, std::memory_order_relaxed);
}

void Publisher::count_special(const ipvs::ServiceKey& key, int direction) noexcept {
    const auto add = [direction](std::atomic<std::uint32_t>& counter) {
        counter.fetch_add(static_cast<std::uint32_t>(direction), std::memory_order_relaxed);
    };
    const bool v4 = ipvs::family_of(key) == net::Family::inet;
    add(v4 ? configuration_.services_v4 : configuration_.services_v6);
    if (const auto* endpoint = std::get_if<ipvs::EndpointKey>(&key)) {
        if (endpoint->port.is_any()) add(configuration_.any_port_services);
        if (endpoint->port == ftp_port) add(configuration_.ftp_services);
    } else {
        add(configuration_.firewall_mark_services);
    }
}

}  // namespace nlvs::daemon
