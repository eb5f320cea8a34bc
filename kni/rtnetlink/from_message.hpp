#pragma once

#include "compat/netlink/message.hpp"
#include "kni/rtnetlink/event.hpp"

#include <cstdint>
#include <expected>
#include <string_view>

namespace nlvs::kni {

/// Why a message does not become an event. Counted, for nlvsctl.
enum class Ignored : std::uint8_t {
    type,    ///< not a message about links, addresses, neighbours, routes, rules, next hops
    family,  ///< bridge, MPLS, multicast routing
    cached,  ///< a route exception, not a route
    malformed,
    count_,
};

inline constexpr std::size_t ignored_reasons = static_cast<std::size_t>(Ignored::count_);
std::string_view name_of(Ignored reason) noexcept;

/// The event that a NETLINK_ROUTE message tells of. Total: any bytes give a result.
/// Linux: rtnetlink.c rtnl_fill_ifinfo, devinet.c inet_fill_ifaddr, neighbour.c neigh_fill_info,
/// fib_semantics.c fib_dump_info, route.c (IPv6) rt6_fill_node, nexthop.c nh_fill_node.
std::expected<Event, Ignored> event_from_message(const netlink::MessageView& message);

}  // namespace nlvs::kni
