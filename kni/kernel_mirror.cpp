#include "kni/kernel_mirror.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include <linux/rtnetlink.h>

namespace nlvs::kni {
namespace {

std::size_t family_index(net::Family family) {
    return family == net::Family::inet ? 0 : 1;
}

/// Where a route stands among those to the same prefix: the kernel tries larger types of service
/// and smaller priorities first. Tables are kept together.
std::tuple<std::uint32_t, int, std::uint32_t> rank(const Route& route) {
    return {route.table, -int{route.type_of_service}, route.priority};
}

/// IPv6 routes that the kernel merges into one multipath route when their ranks are equal.
/// Linux: ip6_route.h rt6_qualify_for_ecmp.
bool merges(const Route& route) {
    return route.prefix.family() == net::Family::inet6 && route.next_hop_id == 0 &&
           route.protocol != RTPROT_RA && !route.hops.empty() &&
           std::ranges::all_of(route.hops, &RouteHop::has_gateway);
}

/// With equal ranks, would the kernel have `b` in the place of `a` rather than beside it?
bool same_place(const Route& a, const Route& b) {
    if (a.prefix.family() == net::Family::inet) return a == b;
    if (merges(a) || merges(b)) return merges(a) && merges(b);
    return a.type == b.type && a.next_hop_id == b.next_hop_id && a.hops == b.hops;
}

using RouteSet = std::vector<Marked<Route>>;

/// The routes of a set whose rank is that of `route`.
auto equals_of(RouteSet& set, const Route& route) {
    return std::ranges::equal_range(set, rank(route), {}, [](const Marked<Route>& entry) {
        return rank(entry.value);
    });
}

std::vector<Route> values_of(const RouteSet& set) {
    std::vector<Route> result;
    for (const auto& entry : set) result.push_back(entry.value);
    return result;
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
                count_route(entry->value, -1);
                entry = set.erase(entry);
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
    const std::uint32_t current = generation(kind_of(route));
    RouteSet& set = state_.routes[route.prefix];
    // The common case: the only route to its prefix, seen again.
    if (set.size() == 1 && set.front().value == route) {
        set.front().generation = current;
        return;
    }
    const auto before = values_of(set);
    auto equals = equals_of(set, route);
    auto place = std::ranges::find_if(equals, [&](const Marked<Route>& entry) {
        return same_place(entry.value, route);
    });
    if (place == equals.end() && change == Event::Change::replaced && !equals.empty()) {
        place = equals.begin();
    }
    if (place != equals.end()) {
        count_route(place->value, -1);
        *place = {route, current};
        // A dump lists equals in the kernel's order: whatever it names goes behind.
        if (change == Event::Change::present) std::rotate(place, place + 1, equals.end());
    } else {
        const bool in_front = change == Event::Change::added;
        set.insert(in_front ? equals.begin() : equals.end(), {route, current});
    }
    count_route(route, 1);
    if (values_of(set) != before) observer_->routes_changed(route.prefix);
}

void KernelMirror::remove(const Route& route) {
    const auto found = state_.routes.find(route.prefix);
    if (found == state_.routes.end()) {
        ++unmatched_;
        return;
    }
    RouteSet& set = found->second;
    auto equals = equals_of(set, route);
    const auto first_where = [&equals](auto&& matches) {
        return std::ranges::find_if(equals, [&matches](const auto& entry) {
            return matches(entry.value);
        });
    };
    auto place = first_where([&](const Route& other) { return other == route; });
    if (place == equals.end()) {
        place = first_where([&](const Route& other) {
            return other.type == route.type && other.hops == route.hops;
        });
    }
    if (place == equals.end() && merges(route)) {
        // One or several ways of an IPv6 multipath route leave, the others stay.
        place = first_where([](const Route& other) { return merges(other); });
        if (place != equals.end()) {
            auto& hops = place->value.hops;
            std::erase_if(hops, [&](const RouteHop& hop) {
                return std::ranges::any_of(route.hops, [&](const RouteHop& gone) {
                    return gone.interface == hop.interface && gone.gateway == hop.gateway;
                });
            });
            if (!hops.empty()) {
                observer_->routes_changed(route.prefix);
                return;
            }
        }
    }
    if (place == equals.end()) {
        ++unmatched_;
        if (!equals.empty()) mark_stale(kind_of(route));
        return;
    }
    count_route(place->value, -1);
    set.erase(place);
    if (set.empty()) state_.routes.erase(found);
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
                   }) <= 1) {
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
