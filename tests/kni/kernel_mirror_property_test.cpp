#include "kni/kernel_mirror.hpp"

#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include <boost/test/unit_test.hpp>
#include <linux/rtnetlink.h>

using namespace nlvs;
using namespace nlvs::kni;

namespace {

using Change = Event::Change;

/// A kernel in small: objects by key, changed at random. Its announcements may get lost.
struct SmallKernel {
    std::mt19937 random;
    std::map<std::uint32_t, Link> links;
    std::map<std::pair<std::uint32_t, std::uint32_t>, Neighbour> neighbours;
    std::map<unsigned, std::vector<Route>> routes;  ///< by prefix, in order

    explicit SmallKernel(unsigned seed) : random{seed} {}

    unsigned pick(unsigned n) { return static_cast<unsigned>(random() % n); }

    Event change() {
        switch (pick(4)) {
            case 0:
                return change_link();
            case 1:
                return change_neighbour();
            default:
                return change_route();
        }
    }

    Event change_link() {
        const std::uint32_t index = 1 + pick(4);
        if (links.contains(index) && pick(3) == 0) {
            const Link gone = links.extract(index).mapped();
            return {Change::removed, gone};
        }
        Link& link = links[index];
        link.index = index;
        link.mtu = 1400 + pick(3);
        link.up = pick(2) != 0;
        return {Change::added, link};
    }

    Event change_neighbour() {
        const std::pair<std::uint32_t, std::uint32_t> key{1 + pick(3), pick(5)};
        if (neighbours.contains(key) && pick(2) == 0) {
            const Neighbour gone = neighbours.extract(key).mapped();
            return {Change::removed, gone};
        }
        Neighbour& neighbour = neighbours[key];
        neighbour.interface = key.first;
        neighbour.address = net::Ipv4Address{0x0A000000U + key.second};
        neighbour.state = static_cast<std::uint16_t>(1U << pick(8));
        return {Change::added, neighbour};
    }

    Event change_route() {
        const unsigned which = pick(6);
        auto& set = routes[which];
        if (!set.empty() && pick(2) == 0) {
            const std::size_t at = pick(static_cast<unsigned>(set.size()));
            const Route gone = set[at];
            set.erase(set.begin() + static_cast<std::ptrdiff_t>(at));
            return {Change::removed, gone};
        }
        Route route = make_route(which);
        const auto first = std::ranges::find(set, route.priority, &Route::priority) - set.begin();
        const bool equal_exists = first != std::ssize(set);
        if (std::ranges::count(set, route) != 0) return {Change::added, route};  // told twice
        if (equal_exists && pick(3) == 0) {
            set[static_cast<std::size_t>(first)] = route;
            return {Change::replaced, route};
        }
        const bool append = equal_exists && pick(2) == 0;
        const auto by_priority = [](const Route& entry) { return entry.priority; };
        set.insert(
            append ? std::ranges::upper_bound(set, route.priority, {}, by_priority)
                   : std::ranges::lower_bound(set, route.priority, {}, by_priority),
            route
        );
        return {append ? Change::appended : Change::added, route};
    }

    Route make_route(unsigned which) {
        Route route;
        route.prefix = {net::Ipv4Address{(10U << 24) | (which << 16)}, 8 + which * 4};
        route.table = RT_TABLE_MAIN;
        route.type = RTN_UNICAST;
        route.priority = pick(3);
        RouteHop hop;
        hop.interface = 1 + pick(3);
        route.hops = {hop};
        return route;
    }

    /// The dump of one kind, to be interleaved with events: a snapshot, taken piece by piece.
    std::vector<Event> dump(Kind kind) const {
        std::vector<Event> result;
        const auto say = [&result](const auto& object) {
            result.push_back({Change::present, object});
        };
        if (kind == Kind::link) {
            for (const auto& [index, link] : links) say(link);
        } else if (kind == Kind::neighbour) {
            for (const auto& [key, neighbour] : neighbours) say(neighbour);
        } else if (kind == Kind::route_v4) {
            for (const auto& [which, set] : routes) {
                for (const auto& route : set) say(route);
            }
        }
        return result;
    }
};

bool mirrors(const KernelState& state, const SmallKernel& kernel) {
    std::map<std::uint32_t, Link> links;
    for (const auto& [index, entry] : state.links) links[index] = entry.value;
    if (links != kernel.links || state.neighbours.size() != kernel.neighbours.size()) return false;
    for (const auto& [key, neighbour] : kernel.neighbours) {
        const Neighbour* mirrored = state.neighbour({neighbour.interface, neighbour.address});
        if (mirrored == nullptr || !(*mirrored == neighbour)) return false;
    }
    std::size_t prefixes = 0;
    for (const auto& [which, set] : kernel.routes) {
        if (set.empty()) continue;
        ++prefixes;
        const auto found = state.routes.find(set.front().prefix);
        if (found == state.routes.end() || found->second.size() != set.size()) return false;
        for (std::size_t i = 0; i < set.size(); ++i) {
            if (!(found->second[i].value == set[i])) return false;
        }
    }
    return state.routes.size() == prefixes;
}

int cases() {
    const char* scale = std::getenv("NLVS_CASES");
    return scale != nullptr ? std::atoi(scale) : 300;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(kernel_mirror_property_test)

BOOST_AUTO_TEST_CASE(with_every_event_the_mirror_equals_the_kernel) {
    for (int seed = 1; seed <= cases(); ++seed) {
        BOOST_TEST_CONTEXT("seed " << seed) {
            SmallKernel kernel{static_cast<unsigned>(seed)};
            KernelMirror mirror;
            for (int i = 0; i < 200; ++i) mirror.apply(kernel.change());
            BOOST_TEST_REQUIRE(mirrors(mirror.state(), kernel));
        }
    }
}

BOOST_AUTO_TEST_CASE(after_losses_a_dump_interleaved_with_events_repairs_the_mirror) {
    for (int seed = 1; seed <= cases(); ++seed) {
        BOOST_TEST_CONTEXT("seed " << seed) {
            SmallKernel kernel{static_cast<unsigned>(seed)};
            KernelMirror mirror;
            for (int i = 0; i < 100; ++i) {
                const Event event = kernel.change();
                if (kernel.pick(3) != 0) mirror.apply(event);
            }
            for (const Kind kind : {Kind::link, Kind::neighbour, Kind::route_v4}) {
                mirror.begin_dump(kind);
                // Events before and after the part of the dump that one buffer holds.
                for (unsigned n = kernel.pick(4); n > 0; --n) mirror.apply(kernel.change());
                for (const auto& event : kernel.dump(kind)) mirror.apply(event);
                for (unsigned n = kernel.pick(4); n > 0; --n) mirror.apply(kernel.change());
                mirror.end_dump(kind);
            }
            BOOST_TEST_REQUIRE(mirrors(mirror.state(), kernel));
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
