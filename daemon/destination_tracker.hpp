#pragma once

#include <cstdint>

#include "compat/ipvs/destination.hpp"
#include "forwarding/config/destination.hpp"
#include "forwarding/identifiers.hpp"

namespace nlvs::daemon {

/// What the kernel says an address is. Linux: inet_addr_type, ipv6_addr_type + ipv6_chk_addr.
enum class AddressType : std::uint8_t {
    unicast,     ///< somebody else's; reachable or not is no question
    local,       ///< one of the host's own
    link_local,  ///< IPv6 link-local of somebody else
    broadcast,   ///< limited or directed broadcast of a local subnet
    multicast,
    unspecified,
    mapped,  ///< ::ffff:0:0/96
};

/// Keeps the reachability part of destination slots true: `adjacency`, `tunnel`, `route_mtu`,
/// `local`. It writes nothing else in a slot.
/// Thread: control.
class DestinationTracker {
public:
    DestinationTracker() = default;
    DestinationTracker(const DestinationTracker&) = delete;
    DestinationTracker& operator=(const DestinationTracker&) = delete;
    virtual ~DestinationTracker() = default;

    /// From now on `slot` follows routes and neighbours of `address`. Called again for a tracked
    /// id when method or tunnel changed. The slot stays valid until untrack.
    virtual void track(
        forwarding::DestinationId id, forwarding::DestinationSlot& slot,
        const net::IpAddress& address, ipvs::ForwardingMethod method, const ipvs::Tunnel& tunnel
    ) = 0;

    /// Stops following and clears the slot's pointers. Unknown ids are ignored.
    virtual void untrack(forwarding::DestinationId id) = 0;

    virtual AddressType address_type(const net::IpAddress& address) const = 0;
};

}  // namespace nlvs::daemon
