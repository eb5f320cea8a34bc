#include "daemon/ingress_publisher.hpp"

#include "forwarding/packet/parsed.hpp"

#include <algorithm>
#include <memory>
#include <utility>

namespace nlvs::daemon {
namespace {

forwarding::IngressKey key_of(const Way& way, forwarding::PortIndex port) {
    std::array<std::uint16_t, Way::most_tags> codes{};
    for (std::size_t i = 0; i < way.tag_count; ++i) {
        codes[i] = forwarding::tag_code(way.tags[i].ether_type, way.tags[i].id);
    }
    return {port, forwarding::station_word(way.mac), codes};
}

}  // namespace

void IngressPublisher::refresh() {
    Entries entries;
    std::map<forwarding::PortIndex, Addresses> addresses;
    for (const auto& [index, link] : state_.links) {
        const auto way = ports_.way(index);
        if (!way || way->mac == net::MacAddress{}) continue;
        // The NIC keeps its own address while the shadow is down.
        for (const forwarding::PortIndex port : way->receivers) {
            if (way->up || ports_.shadow(index)) addresses[port].insert(way->mac);
            if (!way->up || ports_.is_member(link.value)) continue;
            const auto [entry, is_new] =
                entries.try_emplace(key_of(*way, port), receiver(link.value));
            if (!is_new && goes_before(index, entry->second.interface)) {
                entry->second = receiver(link.value);
            }
        }
    }
    publish(entries);
    for (forwarding::PortIndex port = 0; port < ports_.size(); ++port) {
        if (addresses_[port] != addresses[port] && changed_) changed_(port, addresses[port]);
    }
    addresses_ = std::move(addresses);
}

/// Of two interfaces with one address in one VLAN (a macvlan in passthru mode) the upper one
/// receives, of two upper ones the older.
bool IngressPublisher::goes_before(std::uint32_t one, std::uint32_t other) const {
    const bool one_is_shadow = ports_.shadow(one).has_value();
    const bool other_is_shadow = ports_.shadow(other).has_value();
    return one_is_shadow != other_is_shadow ? other_is_shadow : one < other;
}

/// Linux: drivers/net/vrf.c vrf_ip_rcv — to the stack a packet comes in by the VRF device.
IngressPublisher::Receiver IngressPublisher::receiver(const kni::Link& link) const {
    Receiver result;
    result.interface = result.input = link.index;
    const kni::Link* master = link.master == 0 ? nullptr : state_.link(link.master);
    if (master != nullptr && master->kind == "vrf") {
        result.input = master->index;
        result.vrf_table = master->table;
    }
    result.forwards_v4 = router_.forwards(net::Family::inet, result.input);
    result.forwards_v6 = router_.forwards(net::Family::inet6, result.input);
    using Check = kni::RouterState::SourceCheck;
    switch (router_.source_check(result.input)) {
        case Check::none: result.source_check = forwarding::SourceCheck::none; break;
        case Check::strict: result.source_check = forwarding::SourceCheck::strict; break;
        case Check::loose: result.source_check = forwarding::SourceCheck::loose; break;
    }
    return result;
}

/// What is no longer routed stops before anything else is published.
void IngressPublisher::route_by(const kni::RouterState& router) {
    router_ = router;
    const auto any = [this](net::Family family) {
        return std::ranges::any_of(router_.interfaces, [&](const auto& entry) {
            return router_.forwards(family, entry.first);
        });
    };
    const bool v4 = any(net::Family::inet);
    const bool v6 = any(net::Family::inet6);
    if (!v4) configuration_.forwards_v4.store(false, std::memory_order_relaxed);
    if (!v6) configuration_.forwards_v6.store(false, std::memory_order_relaxed);
    refresh();
    if (v4) configuration_.forwards_v4.store(true, std::memory_order_relaxed);
    if (v6) configuration_.forwards_v6.store(true, std::memory_order_relaxed);
}

void IngressPublisher::publish(const Entries& next) {
    for (const auto& [key, receiver] : next) {
        const auto found = entries_.find(key);
        if (found != entries_.end() && found->second == receiver) continue;
        auto node = std::make_unique<forwarding::Ingress>();
        node->key = key;
        node->interface = receiver.interface;
        node->input = receiver.input;
        node->vrf_table = receiver.vrf_table;
        node->forwards_v4 = receiver.forwards_v4;
        node->forwards_v6 = receiver.forwards_v6;
        node->source_check = receiver.source_check;
        configuration_.ingress.insert(std::move(node), reclaimer_);
    }
    for (const auto& [key, receiver] : entries_) {
        if (!next.contains(key)) configuration_.ingress.remove(key, reclaimer_);
    }
    entries_ = next;
}

}  // namespace nlvs::daemon
