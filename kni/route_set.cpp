#include "kni/route_set.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include <linux/rtnetlink.h>

namespace nlvs::kni {
namespace {

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

/// The routes of a set whose rank is that of `route`.
auto equals_of(RouteSet& set, const Route& route) {
    return std::ranges::equal_range(set, rank(route), {}, [](const Marked<Route>& entry) {
        return rank(entry.value);
    });
}

/// Takes the ways of `gone` out of a multipath route. True if there were any.
bool take_hops(Route& route, const Route& gone) {
    return std::erase_if(route.hops, [&gone](const RouteHop& hop) {
               return std::ranges::any_of(gone.hops, [&hop](const RouteHop& other) {
                   return other.interface == hop.interface && other.gateway == hop.gateway;
               });
           }) != 0;
}

std::vector<Route> values_of(const RouteSet& set) {
    std::vector<Route> result;
    for (const auto& entry : set) result.push_back(entry.value);
    return result;
}

}  // namespace

RoutePut put_route(
    RouteSet& set, const Route& route, Event::Change change, std::uint32_t generation
) {
    // The common case: the only route to its prefix, seen again.
    if (set.size() == 1 && set.front().value == route) {
        set.front().generation = generation;
        return {};
    }
    const auto before = values_of(set);
    RoutePut result;
    auto equals = equals_of(set, route);
    auto place = std::ranges::find_if(equals, [&](const Marked<Route>& entry) {
        return same_place(entry.value, route);
    });
    if (change == Event::Change::replaced) {
        // While a dump runs, equals may stand here that the kernel no longer has: a namesake of
        // the new route, and one in front of the route that it really replaces.
        if (place != equals.end() && place->generation != generation) {
            result.replaced.push_back(std::move(place->value));
            set.erase(place);
            equals = equals_of(set, route);
            place = equals.end();
        }
        if (place == equals.end()) {
            place = std::ranges::find(equals, generation, &Marked<Route>::generation);
        }
        if (place == equals.end()) place = equals.begin();
    }
    if (place != equals.end()) {
        const bool unconfirmed = place->generation != generation;
        result.replaced.push_back(std::exchange(place->value, route));
        place->generation = generation;
        // A dump lists equals in the kernel's order: whatever it names goes behind. What was
        // there unconfirmed may be a namesake that the kernel has dropped since.
        if (change == Event::Change::present ||
            (unconfirmed && change == Event::Change::appended)) {
            std::rotate(place, place + 1, equals.end());
        } else if (unconfirmed && change == Event::Change::added) {
            std::rotate(equals.begin(), place, place + 1);
        }
    } else {
        const bool in_front = change == Event::Change::added;
        set.insert(in_front ? equals.begin() : equals.end(), {route, generation});
    }
    result.changed = values_of(set) != before;
    return result;
}

RouteRemoval remove_route(RouteSet& set, const Route& route) {
    RouteRemoval result;
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
        place = first_where([](const Route& other) { return merges(other); });
        if (place != equals.end() && !take_hops(place->value, route)) {
            place = equals.end();
        } else if (place != equals.end() && !place->value.hops.empty()) {
            result.shrunk = true;
            return result;
        }
    }
    if (place == equals.end()) {
        result.doubtful = !equals.empty();
        return result;
    }
    result.removed = std::move(place->value);
    set.erase(place);
    return result;
}

}  // namespace nlvs::kni
