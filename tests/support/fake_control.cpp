#include "tests/support/fake_control.hpp"

#include "compat/net/ip_address.hpp"

#include <array>

namespace nlvs::test {

namespace {

using ipvs::Error;
using ipvs::Result;
using net::operator""_ip;

std::unexpected<Error> fail(Error error) {
    return std::unexpected{error};
}

Result<void> check_service(const ipvs::ServiceKey& key, const ipvs::ServiceSpec& spec) {
    static const std::set<std::string> schedulers{
        "none",
        "rr",
        "wrr",
        "lc",
        "wlc",
        "lblc",
        "lblcr",
        "dh",
        "sh",
        "mh",
        "sed",
        "nq",
        "fo",
        "ovf",
        "twos",
    };
    if (!schedulers.contains(spec.scheduler)) return fail(Error::unknown_scheduler);
    if (!spec.persistence_engine.empty() && spec.persistence_engine != "sip") {
        return fail(Error::unknown_persistence_engine);
    }
    if (ipvs::family_of(key) == ipvs::Family::inet6 && (spec.netmask == 0 || spec.netmask > 128)) {
        return fail(Error::invalid_argument);
    }
    return {};
}

/// Linux: ip_vs_ctl.c ip_vs_new_dest — local or unicast, in the surroundings of the recordings.
bool is_acceptable(const net::IpAddress& address) {
    if (address.is_v6()) {
        const auto& bytes = address.bytes();
        const bool link_local = bytes[0] == 0xFE && (bytes[1] & 0xC0) == 0x80;
        return !address.is_any() && bytes[0] != 0xFF && !link_local;
    }
    const std::array refused{
        "0.0.0.0"_ip, "255.255.255.255"_ip, "10.0.0.255"_ip, "192.168.1.255"_ip};
    return (address.bytes()[0] & 0xF0) != 0xE0 &&
           std::ranges::find(refused, address) == refused.end();
}

std::uint32_t merge(std::uint32_t existing, const ipvs::ServiceSpec& spec) {
    return (existing & ~spec.flags_mask) | (spec.flags.word & spec.flags_mask) |
           ipvs::ServiceFlags::hashed;
}

}  // namespace

FakeControl::Entry* FakeControl::find(const ipvs::ServiceKey& key) {
    const auto found =
        std::ranges::find(services, key, [](const Entry& entry) { return entry.view.key; });
    return found == services.end() ? nullptr : &*found;
}

const FakeControl::Entry* FakeControl::find(const ipvs::ServiceKey& key) const {
    const auto found =
        std::ranges::find(services, key, [](const Entry& entry) { return entry.view.key; });
    return found == services.end() ? nullptr : &*found;
}

Result<void> FakeControl::add_service(const ipvs::ServiceKey& key, const ipvs::ServiceSpec& spec) {
    if (find(key) != nullptr) return fail(Error::service_exists);
    if (auto checked = check_service(key, spec); !checked) return checked;
    Entry entry{
        .number = next_number_++,
        .view = {.key = key, .spec = spec, .statistics = {}},
        .destinations = {}};
    entry.view.spec.flags.word = merge(0, spec);
    entry.view.spec.flags_mask = ~0U;
    services.push_back(std::move(entry));
    return {};
}

Result<void> FakeControl::edit_service(const ipvs::ServiceKey& key, const ipvs::ServiceSpec& spec) {
    Entry* entry = find(key);
    if (entry == nullptr) return fail(Error::no_such_service);
    if (auto checked = check_service(key, spec); !checked) return checked;
    const std::uint32_t flags = merge(entry->view.spec.flags.word, spec);
    const ipvs::BesideMark given = entry->view.spec.beside_mark;
    entry->view.spec = spec;
    entry->view.spec.beside_mark = given;
    entry->view.spec.flags.word = flags;
    entry->view.spec.flags_mask = ~0U;
    return {};
}

Result<void> FakeControl::remove_service(const ipvs::ServiceKey& key) {
    if (std::erase_if(services, [&](const Entry& e) { return e.view.key == key; }) == 0) {
        return fail(Error::no_such_service);
    }
    return {};
}

Result<ipvs::ServiceView> FakeControl::find_service(const ipvs::ServiceKey& key) const {
    const Entry* entry = find(key);
    if (entry == nullptr) return fail(Error::no_such_service);
    ipvs::ServiceView view = entry->view;
    view.destinations = static_cast<std::uint32_t>(entry->destinations.size());
    return view;
}

bool FakeControl::has_service(const ipvs::ServiceKey& key) const {
    return find(key) != nullptr;
}

ipvs::Cursor FakeControl::visit_services(ipvs::Cursor from, const ServiceVisitor& visitor) const {
    for (const Entry& entry : services) {
        if (entry.number < from) continue;
        ipvs::ServiceView view = entry.view;
        view.destinations = static_cast<std::uint32_t>(entry.destinations.size());
        if (!visitor(view)) return entry.number;
    }
    return end;
}

std::uint32_t FakeControl::count_services(ipvs::Family family) const {
    return static_cast<std::uint32_t>(std::ranges::count_if(services, [&](const Entry& entry) {
        return ipvs::family_of(entry.view.key) == family;
    }));
}

// Linux: ip_vs_ctl.c ip_vs_genl_set_cmd, ip_vs_add_dest.
Result<void> FakeControl::check(const Entry& service, const ipvs::DestinationSpec& spec) const {
    if (spec.key.address.family() != ipvs::family_of(service.view.key)) {
        if (!running.empty()) return fail(Error::invalid_argument);
        if (spec.forwarding != static_cast<std::uint32_t>(ipvs::ForwardingMethod::tunnel)) {
            return fail(Error::invalid_argument);
        }
    }
    if (spec.weight < 0) return fail(Error::out_of_range);
    if (spec.lower_threshold > spec.upper_threshold) return fail(Error::out_of_range);
    if (spec.upper_threshold > 0x7FFFFFFF) return fail(Error::invalid_argument);
    if (spec.tunnel.type == ipvs::TunnelType::gue && spec.tunnel.port.is_any()) {
        return fail(Error::invalid_argument);
    }
    return {};
}

Result<void> FakeControl::add_destination(
    const ipvs::ServiceKey& key, const ipvs::DestinationSpec& spec
) {
    Entry* entry = find(key);
    if (entry == nullptr) return fail(Error::no_such_service);
    if (auto checked = check(*entry, spec); !checked) return checked;
    for (const auto& [number, view] : entry->destinations) {
        if (view.spec.key == spec.key) return fail(Error::destination_exists);
    }
    if (!is_acceptable(spec.key.address)) return fail(Error::bad_address);
    entry->destinations.emplace_front(
        next_number_++, ipvs::DestinationView{.spec = spec, .statistics = {}}
    );
    return {};
}

Result<void> FakeControl::edit_destination(
    const ipvs::ServiceKey& key, const ipvs::DestinationSpec& spec
) {
    Entry* entry = find(key);
    if (entry == nullptr) return fail(Error::no_such_service);
    if (auto checked = check(*entry, spec); !checked) return checked;
    for (auto& [number, view] : entry->destinations) {
        if (view.spec.key != spec.key) continue;
        view.spec = spec;
        return {};
    }
    return fail(Error::no_such_destination);
}

Result<void> FakeControl::remove_destination(
    const ipvs::ServiceKey& key, const ipvs::DestinationKey& destination
) {
    Entry* entry = find(key);
    if (entry == nullptr) return fail(Error::no_such_service);
    const auto removed = std::erase_if(entry->destinations, [&](const auto& numbered) {
        return numbered.second.spec.key == destination;
    });
    if (removed == 0) return fail(Error::no_such_destination);
    return {};
}

ipvs::Cursor FakeControl::visit_destinations(
    const ipvs::ServiceKey& key, ipvs::Cursor from, const DestinationVisitor& visitor
) const {
    const Entry* entry = find(key);
    if (entry == nullptr) return end;
    for (const auto& [number, view] : entry->destinations) {
        if (from != 0 && number > from) continue;
        if (!visitor(view)) return number;
    }
    return end;
}

Result<void> FakeControl::zero(const std::optional<ipvs::ServiceKey>& key) {
    if (key && !has_service(*key)) return fail(Error::no_such_service);
    zeroed.push_back(key);
    return {};
}

Result<void> FakeControl::set_timeouts(const ipvs::Timeouts& timeouts) {
    constexpr std::uint32_t limit = 0x7FFFFFFF / 250;
    for (const std::uint32_t value : {timeouts.tcp, timeouts.tcp_fin, timeouts.udp}) {
        if (value > limit) return fail(Error::invalid_argument);
    }
    if (timeouts.tcp != 0) current_timeouts.tcp = timeouts.tcp;
    if (timeouts.tcp_fin != 0) current_timeouts.tcp_fin = timeouts.tcp_fin;
    if (timeouts.udp != 0) current_timeouts.udp = timeouts.udp;
    return {};
}

bool FakeControl::mixes_families() const {
    return std::ranges::any_of(services, [](const Entry& entry) {
        return std::ranges::any_of(entry.destinations, [&](const auto& numbered) {
            return numbered.second.spec.key.address.family() != ipvs::family_of(entry.view.key);
        });
    });
}

// Linux: ip_vs_sync.c start_sync_thread. The message length is bounded by the MTU of the
// interface, 1500 here.
Result<void> FakeControl::start_daemon(const ipvs::SyncDaemonConfig& config) {
    static const std::set<std::string> interfaces{"lo", "eth0", "eth1"};
    if (!interfaces.contains(config.interface)) return fail(Error::no_such_device);
    if (config.state != 1 && config.state != 2) return fail(Error::invalid_argument);
    const auto same = [&](const ipvs::SyncDaemonConfig& d) { return d.state == config.state; };
    if (std::ranges::any_of(running, same)) return fail(Error::daemon_exists);
    ipvs::SyncDaemonConfig daemon = config;
    if (daemon.group.is_any() && daemon.group.is_v4()) daemon.group = "224.0.0.81"_ip;
    if (daemon.port == 0) daemon.port = 8848;
    if (daemon.ttl == 0) daemon.ttl = 1;
    if (daemon.max_length == 0) daemon.max_length = daemon.group.is_v4() ? 1472 : 1452;
    running.push_back(daemon);
    std::ranges::sort(running, {}, &ipvs::SyncDaemonConfig::state);
    return {};
}

Result<void> FakeControl::stop_daemon(std::uint32_t state) {
    if (state != 1 && state != 2) return fail(Error::invalid_argument);
    const auto stopped =
        std::erase_if(running, [&](const ipvs::SyncDaemonConfig& d) { return d.state == state; });
    if (stopped == 0) return fail(Error::no_such_daemon);
    return {};
}

}  // namespace nlvs::test
