#pragma once

#include "kni/kernel_state.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace nlvs::kni {

/// The kernel's routes to one prefix, in the order in which it tries them within a table.
using RouteSet = std::vector<Marked<Route>>;

struct RoutePut {
    std::vector<Route> replaced;  ///< one, or two when one of them was unconfirmed
    bool changed = false;         ///< something is different from before
};

/// What an announced or dumped route does to the set. Linux: fib_trie.c fib_table_insert,
/// ip6_fib.c fib6_add_rt2node.
RoutePut put_route(
    RouteSet& set, const Route& route, Event::Change change, std::uint32_t generation
);

struct RouteRemoval {
    std::optional<Route> removed;
    bool shrunk = false;    ///< a multipath route lost ways and stays
    bool doubtful = false;  ///< nothing fits, though routes of the same rank are there
};

RouteRemoval remove_route(RouteSet& set, const Route& route);

}  // namespace nlvs::kni
