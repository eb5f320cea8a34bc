#include "daemon/destination_trash.hpp"

#include <iterator>
#include <utility>

namespace nlvs::daemon {

DestinationTrash::Key DestinationTrash::key_of(
    const RegisteredService& service, const ipvs::DestinationKey& destination
) {
    Key key{destination, service.key};
    // Linux: ip_vs_ctl.c ip_vs_trash_get_dest — with a firewall mark the service's family is not
    // compared, but its protocol.
    if (auto* mark = std::get_if<ipvs::FirewallMarkKey>(&key.service)) {
        mark->family = net::Family::inet;
        key.mark_protocol = service.spec.beside_mark.protocol;
    }
    return key;
}

void DestinationTrash::put(
    const RegisteredService& service, std::unique_ptr<RegisteredDestination> destination
) {
    Key key = key_of(service, destination->spec.key);
    entries_.emplace(std::move(key), Entry{std::move(destination), std::nullopt});
}

std::unique_ptr<RegisteredDestination> DestinationTrash::take(
    const RegisteredService& service, const ipvs::DestinationKey& destination
) {
    const auto [first, last] = entries_.equal_range(key_of(service, destination));
    if (first == last) return nullptr;
    const auto youngest = std::prev(last);
    auto result = std::move(youngest->second.destination);
    entries_.erase(youngest);
    return result;
}

void DestinationTrash::scan(
    Clock::time_point now,
    const std::function<bool(const RegisteredDestination&)>& is_referenced,
    const std::function<void(const RegisteredDestination&)>& release
) {
    for (auto i = entries_.begin(); i != entries_.end();) {
        Entry& entry = i->second;
        if (is_referenced(*entry.destination)) {
            ++i;
        } else if (!entry.idle_since) {
            entry.idle_since = now;
            ++i;
        } else if (now - *entry.idle_since < idle_period) {
            ++i;
        } else {
            release(*entry.destination);
            i = entries_.erase(i);
        }
    }
}

}  // namespace nlvs::daemon
