#include "kni/kernel_mirror.hpp"

#include "kni/route_set.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include <linux/rtnetlink.h>

namespace nlvs::kni {
namespace {

std::size_t family_index(net::Family family) {
    return family == net::Family::inet ? 0 : 1;
}

class Nobody final : public MirrorObserver {
    void link_changed(const Link*, const Link*) override {}

    void address_changed(const Address&, bool) override {}

    void neighbour_changed(const Neighbour&, bool) override {}

    void routes_changed(const net::Prefix&) override {}

    void rules_changed(net::Family) override {}
};

bool hangs_on_source(const Route& route) {
    return route.has_preferred_source && route.protocol != RTPROT_KERNEL;
}

}  // namespace

std::vector<RouteHop> KernelState::hops_of(const Route& route) const {
    const auto found = next_hops.find(route.next_hop_id);
    if (route.next_hop_id == 0 || found == next_hops.end()) return route.hops;
    const NextHopObject& object = found->second.value;
    if (object.group.empty()) return {object.hop};
    std::vector<RouteHop> hops;
    for (const auto& member : object.group) {
        const auto single = next_hops.find(member.id);
        if (single == next_hops.end() || single->second.value.blackhole) continue;
        hops.push_back(single->second.value.hop);
        hops.back().weight = member.weight;
    }
    return hops;
}

bool KernelState::is_blackhole(const Route& route) const {
    const auto found = next_hops.find(route.next_hop_id);
    return route.next_hop_id != 0 && found != next_hops.end() && found->second.value.blackhole;
}

MirrorObserver& KernelMirror::nobody() noexcept {
    static Nobody nobody;
    return nobody;
}

void KernelMirror::apply(const Event& event) {
    const bool removed = event.change == Event::Change::removed;
    std::visit(
        [this, removed, &event](const auto& object) {
            if (removed) {
                remove(object);
            } else if constexpr (std::is_same_v<std::decay_t<decltype(object)>, Route>) {
                put(object, event.change);
            } else {
                put(object);
            }
        },
        event.object
    );
}

void KernelMirror::begin_dump(Kind kind) {
    ++generations_[static_cast<std::size_t>(kind)];
}

void KernelMirror::end_dump(Kind kind) {
    const std::uint32_t current = generation(kind);
    switch (kind) {
        case Kind::link:
            sweep(state_.links, current);
            break;
        case Kind::next_hop:
            sweep(state_.next_hops, current);
            break;
        case Kind::address:
            sweep(state_.addresses, current);
            break;
        case Kind::neighbour:
            sweep(state_.neighbours, current);
            break;
        case Kind::route_v4:
            sweep_routes(net::Family::inet, current);
            break;
        case Kind::route_v6:
            sweep_routes(net::Family::inet6, current);
            break;
        case Kind::rule: {
            const auto rules = state_.rules;
            for (const auto& rule : rules) {
                if (rule.generation != current) remove(rule.value);
            }
            break;
        }
        case Kind::count_:
            break;
    }
}

unsigned KernelMirror::take_stale() noexcept {
    return std::exchange(stale_, 0U);
}

template <class Map>
void KernelMirror::sweep(Map& map, std::uint32_t current) {
    std::vector<typename Map::mapped_type> gone;
    for (const auto& [key, entry] : map) {
        if (entry.generation != current) gone.push_back(entry);
    }
    for (const auto& entry : gone) remove(entry.value);
}

void KernelMirror::sweep_routes(net::Family family, std::uint32_t current) {
    std::vector<net::Prefix> changed;
    for (const auto& [prefix, set] : state_.routes) {
        const auto unseen = [current](const auto& entry) { return entry.generation != current; };
        if (prefix.family() == family && std::ranges::any_of(set, unseen))
            changed.push_back(prefix);
    }
    for (const auto& prefix : changed) {
        RouteSet& set = state_.routes[prefix];
        for (auto entry = set.begin(); entry != set.end();) {
            if (entry->generation == current) {
                ++entry;
            } else {
                const Route gone = std::move(entry->value);
                entry = set.erase(entry);
                count_route(gone, -1);
            }
        }
        if (set.empty()) state_.routes.erase(prefix);
        observer_->routes_changed(prefix);
    }
}

void KernelMirror::put(const Link& link) {
    auto& entry = state_.links[link.index];
    entry.generation = generation(Kind::link);
    if (entry.value == link) return;
    const Link before = std::exchange(entry.value, link);
    if (before.up && !link.up && hanging_on_interface_.contains(link.index)) {
        mark_stale(Kind::route_v4);
    }
    observer_->link_changed(before.index == 0 ? nullptr : &before, &entry.value);
}

void KernelMirror::remove(const Link& link) {
    const auto found = state_.links.find(link.index);
    if (found == state_.links.end()) {
        ++unmatched_;
        return;
    }
    const Link before = std::move(found->second.value);
    state_.links.erase(found);
    if (hanging_on_interface_.contains(link.index)) mark_stale(Kind::route_v4);
    observer_->link_changed(&before, nullptr);
}

void KernelMirror::put(const NextHopObject& object) {
    auto& entry = state_.next_hops[object.id];
    entry.generation = generation(Kind::next_hop);
    if (entry.value == object) return;
    entry.value = object;
    next_hop_changed(object.id);
}

void KernelMirror::remove(const NextHopObject& object) {
    if (state_.next_hops.erase(object.id) == 0) {
        ++unmatched_;
        return;
    }
    mark_stale(Kind::route_v4);
    next_hop_changed(object.id);
}

void KernelMirror::next_hop_changed(std::uint32_t id) {
    const auto tell = [this](std::uint32_t user) {
        if (const auto found = by_next_hop_.find(user); found != by_next_hop_.end()) {
            for (const auto& prefix : found->second) observer_->routes_changed(prefix);
        }
    };
    tell(id);
    for (const auto& [group, entry] : state_.next_hops) {
        const auto is_this = [id](const auto& member) { return member.id == id; };
        if (std::ranges::any_of(entry.value.group, is_this)) tell(group);
    }
}

void KernelMirror::put(const Address& address) {
    auto& entry = state_.addresses[{address.interface, address.address, address.length}];
    entry.generation = generation(Kind::address);
    if (entry.value == address) return;
    entry.value = address;
    observer_->address_changed(address, true);
}

void KernelMirror::remove(const Address& address) {
    if (state_.addresses.erase({address.interface, address.address, address.length}) == 0) {
        ++unmatched_;
        return;
    }
    if (hanging_on_source_.contains({address.address, address.address.bits()})) {
        mark_stale(Kind::route_v4);
    }
    observer_->address_changed(address, false);
}

void KernelMirror::put(const Neighbour& neighbour) {
    auto& entry = state_.neighbours[{neighbour.interface, neighbour.address}];
    entry.generation = generation(Kind::neighbour);
    if (entry.value == neighbour) return;
    entry.value = neighbour;
    observer_->neighbour_changed(neighbour, true);
}

void KernelMirror::remove(const Neighbour& neighbour) {
    if (state_.neighbours.erase({neighbour.interface, neighbour.address}) == 0) {
        ++unmatched_;
        return;
    }
    observer_->neighbour_changed(neighbour, false);
}

void KernelMirror::put(const Rule& rule) {
    for (auto& entry : state_.rules) {
        if (entry.value != rule) continue;
        entry.generation = generation(Kind::rule);
        return;
    }
    const auto order = [](const Marked<Rule>& entry) {
        return std::pair{entry.value.family, entry.value.priority};
    };
    const auto at =
        std::ranges::upper_bound(state_.rules, std::pair{rule.family, rule.priority}, {}, order);
    state_.rules.insert(at, {rule, generation(Kind::rule)});
    observer_->rules_changed(rule.family);
}

void KernelMirror::remove(const Rule& rule) {
    const auto found =
        std::ranges::find_if(state_.rules, [&](const auto& entry) { return entry.value == rule; });
    if (found == state_.rules.end()) {
        ++unmatched_;
        return;
    }
    const net::Family family = found->value.family;
    state_.rules.erase(found);
    observer_->rules_changed(family);
}

void KernelMirror::put(const Route& route, Event::Change change) {
    RouteSet& set = state_.routes[route.prefix];
    const RoutePut result = put_route(set, route, change, generation(kind_of(route)));
    if (!result.changed) return;
    for (const Route& gone : result.replaced) count_route(gone, -1);
    count_route(route, 1);
    observer_->routes_changed(route.prefix);
}

void KernelMirror::remove(const Route& route) {
    const auto found = state_.routes.find(route.prefix);
    if (found == state_.routes.end()) {
        ++unmatched_;
        return;
    }
    const RouteRemoval result = remove_route(found->second, route);
    if (result.doubtful) mark_stale(kind_of(route));
    if (!result.removed && !result.shrunk) {
        ++unmatched_;
        return;
    }
    if (result.removed) count_route(*result.removed, -1);
    if (found->second.empty()) state_.routes.erase(found);
    observer_->routes_changed(route.prefix);
}

/// Keeps what is known by next-hop object, interface and preferred source in step.
void KernelMirror::count_route(const Route& route, int direction) {
    const auto family = route.prefix.family();
    route_count_[family_index(family)] += static_cast<std::uint64_t>(direction);
    if (route.next_hop_id != 0) {
        auto& users = by_next_hop_[route.next_hop_id];
        if (direction > 0) {
            users.insert(route.prefix);
        } else if (const auto found = state_.routes.find(route.prefix);
                   found == state_.routes.end() ||
                   std::ranges::count_if(found->second, [&](const Marked<Route>& entry) {
                       return entry.value.next_hop_id == route.next_hop_id;
                   }) == 0) {
            users.erase(route.prefix);
            if (users.empty()) by_next_hop_.erase(route.next_hop_id);
        }
    }
    if (family == net::Family::inet6 || route.type == RTN_LOCAL || route.type == RTN_BROADCAST) {
        return;
    }
    const auto count = [direction](auto& map, const auto& key) {
        auto& users = map[key];
        users += static_cast<std::uint32_t>(direction);
        if (users == 0) map.erase(key);
    };
    for (const RouteHop& hop : route.hops) count(hanging_on_interface_, hop.interface);
    if (hangs_on_source(route)) {
        count(
            hanging_on_source_, net::Prefix{route.preferred_source, route.preferred_source.bits()}
        );
    }
}

}  // namespace nlvs::kni
