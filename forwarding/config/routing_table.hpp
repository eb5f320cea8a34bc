#pragma once

#include "compat/net/ip_address.hpp"
#include "compat/net/prefix.hpp"
#include "forwarding/config/published.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace nlvs::forwarding {

/// What a route leads to. Workers get it by value from a lookup.
struct NextHop {
    enum class Type : std::uint8_t {
        none,         ///< no route
        local,        ///< the host's own address (also broadcast, anycast)
        unicast,      ///< `via`, or the packet's destination itself when on-link
        blackhole,    ///< drop silently
        unreachable,  ///< drop, ICMP host unreachable
        prohibit,     ///< drop, ICMP administratively prohibited
        punt,         ///< the engine cannot express it: let the kernel route
        next_rule,    ///< "throw": as if the table had no route
    };

    Type type = Type::none;
    bool on_link = false;         ///< no gateway: the neighbour is the destination itself
    std::uint16_t mtu = 0;        ///< 0: the interface's
    std::uint32_t interface = 0;  ///< kernel ifindex
    net::IpAddress via;           ///< gateway unless on_link; may be of the other family
    net::IpAddress source;        ///< that the route prefers for the host's packets, if any

    friend bool operator==(const NextHop&, const NextHop&) = default;
};

/// Routes to one prefix: one or several equal or weighted next hops. Immutable.
struct Route {
    NextHop single;             ///< when `hops` is empty
    std::vector<NextHop> hops;  ///< weight-expanded, picked by flow hash
    std::uint8_t prefix_length = 0;

    const NextHop& pick(std::uint32_t flow_hash) const noexcept {
        return hops.empty() ? single : hops[flow_hash % hops.size()];
    }

    friend bool operator==(const Route&, const Route&) = default;
};

/// Longest-prefix match for one family (see prefix_trie.hpp). Updated in place by control, read
/// without locks by workers; a replaced node retires through the Reclaimer. Equal routes are
/// stored once: a full Internet table leads to few next hops.
///
/// Each change is atomic for every address. A lookup that overlaps two changes may see the later
/// without the earlier.
///
/// Thread: insert/remove/size/memory control; lookup worker (or control).
class RoutingTable {
public:
    explicit RoutingTable(net::Family family);
    RoutingTable(const RoutingTable&) = delete;
    RoutingTable& operator=(const RoutingTable&) = delete;
    ~RoutingTable();

    /// Adds or replaces the route of `prefix`, which is of the table's family.
    void insert(
        const net::Prefix& prefix, std::unique_ptr<const Route> route, Reclaimer& reclaimer
    );
    /// True if there was one.
    bool remove(const net::Prefix& prefix, Reclaimer& reclaimer);

    /// The most specific route that contains `address`, null if none. Valid until quiescence.
    /// An address of the other family has no route.
    const Route* lookup(net::Ipv4Address address) const noexcept;
    const Route* lookup(const net::Ipv6Address& address) const noexcept;

    std::size_t size() const noexcept;
    std::size_t memory() const noexcept;  ///< bytes in tables, nodes and routes

private:
    struct Implementation;
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace nlvs::forwarding
