#include "daemon/service_registry.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <utility>

#include "compat/net/ip_protocol.hpp"

namespace nlvs::daemon {
namespace {

using ipvs::Error;
using ipvs::Result;

constexpr std::array<std::string_view, 15> schedulers{
    "none", "rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh",
    "sh",   "mh", "sed", "nq", "fo",  "ovf",  "twos",
};
constexpr std::string_view only_persistence_engine = "sip";

/// Linux: ip_vs_mh.c IP_VS_MH_TAB_SIZE with the default CONFIG_IP_VS_MH_TAB_INDEX=12.
constexpr std::size_t maglev_slots = 4093;

/// Linux: ip_vs_ctl.c ip_vs_add_service, ip_vs_edit_service.
Result<void> check_service(const ipvs::ServiceKey& key, const ipvs::ServiceSpec& spec) {
    if (std::ranges::find(schedulers, spec.scheduler) == schedulers.end()) {
        return std::unexpected{Error::unknown_scheduler};
    }
    if (!spec.persistence_engine.empty() && spec.persistence_engine != only_persistence_engine) {
        return std::unexpected{Error::unknown_persistence_engine};
    }
    if (ipvs::family_of(key) == net::Family::inet6 && (spec.netmask == 0 || spec.netmask > 128)) {
        return std::unexpected{Error::invalid_argument};
    }
    return {};
}

/// Linux: ip_vs_ctl.c ip_vs_genl_parse_service — the mask selects which bits the request sets.
ipvs::ServiceSpec merge(const ipvs::ServiceSpec& spec, ipvs::ServiceFlags existing) {
    ipvs::ServiceSpec merged = spec;
    merged.flags.word = (existing.word & ~spec.flags_mask) |
                        (spec.flags.word & spec.flags_mask) | ipvs::ServiceFlags::hashed;
    merged.flags_mask = ~0U;
    return merged;
}

/// Linux: ip_vs_ctl.c ip_vs_new_dest. Reachability is not asked: no route is unicast, too.
bool acceptable(AddressType type) noexcept {
    return type == AddressType::local || type == AddressType::unicast;
}

}  // namespace

ServiceRegistry::ServiceRegistry(AddressTypeOf address_type)
    : address_type_{std::move(address_type)} {}

RegisteredService* ServiceRegistry::find(const ipvs::ServiceKey& key) noexcept {
    const auto i = services_.find(key);
    return i == services_.end() ? nullptr : i->second.get();
}

const RegisteredService* ServiceRegistry::find(const ipvs::ServiceKey& key) const noexcept {
    const auto i = services_.find(key);
    return i == services_.end() ? nullptr : i->second.get();
}

const RegisteredService* ServiceRegistry::find_for(
    const ipvs::EndpointKey& endpoint, std::uint32_t mark
) const noexcept {
    if (mark != 0) {
        const ipvs::FirewallMarkKey by_mark{endpoint.address.family(), mark};
        if (const RegisteredService* marked = find(by_mark)) return marked;
    }
    if (const RegisteredService* exact = find(endpoint)) return exact;
    constexpr auto tcp = static_cast<std::uint8_t>(net::IpProtocol::tcp);
    constexpr std::uint16_t ftp_data = 20;
    constexpr std::uint16_t first_unprivileged = 1024;
    ipvs::EndpointKey wanted = endpoint;
    const std::uint16_t port = endpoint.port.host();
    if (endpoint.protocol == tcp && (port == ftp_data || port >= first_unprivileged)) {
        wanted.port = net::Port{std::uint16_t{21}};
        if (const RegisteredService* ftp = find(wanted)) return ftp;
    }
    wanted.port = net::Port{};
    return find(wanted);
}

Result<RegisteredService*> ServiceRegistry::add_service(
    const ipvs::ServiceKey& key, const ipvs::ServiceSpec& spec
) {
    if (services_.contains(key)) return std::unexpected{Error::service_exists};
    if (auto checked = check_service(key, spec); !checked) return std::unexpected{checked.error()};
    auto service = std::make_unique<RegisteredService>();
    service->key = key;
    service->spec = merge(spec, {});
    service->sequence = next_sequence_++;
    note_scheduler(spec.scheduler);
    RegisteredService* result = service.get();
    by_sequence_.emplace(service->sequence, result);
    services_.emplace(key, std::move(service));
    if (ipvs::family_of(key) == net::Family::inet) ++services_v4_;
    return result;
}

Result<RegisteredService*> ServiceRegistry::edit_service(
    const ipvs::ServiceKey& key, const ipvs::ServiceSpec& spec
) {
    RegisteredService* service = find(key);
    if (service == nullptr) return std::unexpected{Error::no_such_service};
    if (auto checked = check_service(key, spec); !checked) return std::unexpected{checked.error()};
    // Linux: ip_vs_mh.c ip_vs_mh_reassign — the table must have a slot for every destination.
    if (spec.scheduler == "mh" && service->spec.scheduler != "mh" &&
        service->destinations.size() > maglev_slots) {
        return std::unexpected{Error::invalid_argument};
    }
    const ipvs::BesideMark given = service->spec.beside_mark;
    service->spec = merge(spec, service->spec.flags);
    service->spec.beside_mark = given;
    note_scheduler(spec.scheduler);
    return service;
}

Result<void> ServiceRegistry::remove_service(const ipvs::ServiceKey& key) {
    const auto i = services_.find(key);
    if (i == services_.end()) return std::unexpected{Error::no_such_service};
    RegisteredService& service = *i->second;
    for (auto& destination : service.destinations) {
        if (destination->spec.key.address.family() != ipvs::family_of(key)) --mixed_destinations_;
        trash_.put(service, std::move(destination));
    }
    if (ipvs::family_of(key) == net::Family::inet) --services_v4_;
    by_sequence_.erase(service.sequence);
    services_.erase(i);
    return {};
}

/// Linux: ip_vs_ctl.c ip_vs_genl_set_cmd, then the common head of ip_vs_add_dest and
/// ip_vs_edit_dest, in that order.
Result<void> ServiceRegistry::check_destination(
    const RegisteredService& service, const ipvs::DestinationSpec& spec
) const {
    if (spec.key.address.family() != ipvs::family_of(service.key)) {
        const bool tunnel =
            spec.forwarding == static_cast<std::uint32_t>(ipvs::ForwardingMethod::tunnel);
        if (!mixed_families_allowed_ || !tunnel) return std::unexpected{Error::invalid_argument};
    }
    if (spec.weight < 0) return std::unexpected{Error::out_of_range};
    if (spec.lower_threshold > spec.upper_threshold) return std::unexpected{Error::out_of_range};
    if (spec.upper_threshold > std::numeric_limits<std::int32_t>::max()) {
        return std::unexpected{Error::invalid_argument};
    }
    // The forwarding method does not matter: also a direct-route destination is refused.
    if (spec.tunnel.type == ipvs::TunnelType::gue && spec.tunnel.port.is_any()) {
        return std::unexpected{Error::invalid_argument};
    }
    return {};
}

Result<ServiceRegistry::AddedDestination> ServiceRegistry::add_destination(
    RegisteredService& service, const ipvs::DestinationSpec& spec, Address address
) {
    if (auto checked = check_destination(service, spec); !checked) {
        return std::unexpected{checked.error()};
    }
    if (service.find(spec.key) != nullptr) return std::unexpected{Error::destination_exists};
    AddedDestination added;
    auto destination = trash_.take(service, spec.key);
    if (destination) {
        const bool same_service = destination->service == service.sequence;
        added.origin = same_service ? Origin::revived : Origin::revived_elsewhere;
    } else {
        if (address == Address::asked && !acceptable(address_type_(spec.key.address))) {
            return std::unexpected{Error::bad_address};
        }
        destination = std::make_unique<RegisteredDestination>();
    }
    destination->spec = spec;
    destination->last_weight = spec.weight;
    destination->sequence = next_sequence_++;
    destination->service = service.sequence;
    if (spec.key.address.family() != ipvs::family_of(service.key)) ++mixed_destinations_;
    added.destination = destination.get();
    service.destinations.push_back(std::move(destination));
    return added;
}

Result<RegisteredDestination*> ServiceRegistry::edit_destination(
    RegisteredService& service, const ipvs::DestinationSpec& spec
) {
    if (auto checked = check_destination(service, spec); !checked) {
        return std::unexpected{checked.error()};
    }
    RegisteredDestination* destination = service.find(spec.key);
    if (destination == nullptr) return std::unexpected{Error::no_such_destination};
    destination->spec = spec;
    if (spec.weight != 0) destination->last_weight = spec.weight;
    return destination;
}

void ServiceRegistry::unlink(RegisteredService& service, const RegisteredDestination& destination) {
    if (destination.spec.key.address.family() != ipvs::family_of(service.key)) {
        --mixed_destinations_;
    }
    const auto i = std::ranges::lower_bound(
        service.destinations, destination.sequence, {},
        [](const auto& item) { return item->sequence; }
    );
    service.destinations.erase(i);
}

void ServiceRegistry::trash_destination(
    RegisteredService& service, RegisteredDestination& destination
) {
    auto kept = std::make_unique<RegisteredDestination>(destination);
    unlink(service, destination);
    trash_.put(service, std::move(kept));
}

void ServiceRegistry::discard_destination(
    RegisteredService& service, RegisteredDestination& destination
) {
    unlink(service, destination);
}

void ServiceRegistry::note_scheduler(std::string_view name) noexcept {
    const auto place = std::ranges::find(schedulers, name) - schedulers.begin();
    used_schedulers_.set(static_cast<std::size_t>(place));
}

bool ServiceRegistry::has_used_scheduler(std::string_view name) const noexcept {
    const auto place = std::ranges::find(schedulers, name) - schedulers.begin();
    return used_schedulers_.test(static_cast<std::size_t>(place));
}

std::uint32_t ServiceRegistry::count(net::Family family) const noexcept {
    const auto all = static_cast<std::uint32_t>(services_.size());
    return family == net::Family::inet ? services_v4_ : all - services_v4_;
}

}  // namespace nlvs::daemon
