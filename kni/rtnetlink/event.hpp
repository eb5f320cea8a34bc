#pragma once

#include "compat/net/ip_address.hpp"
#include "compat/net/mac_address.hpp"
#include "compat/net/prefix.hpp"

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace nlvs::kni {

/// What a tunnel device puts around packets and takes off: IFLA_INFO_DATA of the kinds "ipip",
/// "sit", "ip6tnl", "gre" and "ip6gre".
struct TunnelDevice {
    /// There is one remote end and nothing that is not in here: no checksums, sequence numbers,
    /// outer UDP, addresses from metadata.
    bool plain = false;
    bool dont_fragment = false;  ///< whatever the packet inside says
    bool inherits_service = true;
    std::uint8_t inside = 0;        ///< IPPROTO_IPIP, IPPROTO_IPV6; 0: either
    std::uint8_t time_to_live = 0;  ///< 0: of the packet inside
    std::uint8_t type_of_service = 0;
    net::IpAddress local;  ///< may be any
    net::IpAddress remote;
    bool has_input_key = false;
    bool has_output_key = false;
    std::uint32_t input_key = 0;  ///< GRE
    std::uint32_t output_key = 0;

    friend bool operator==(const TunnelDevice&, const TunnelDevice&) = default;
};

/// RTM_NEWLINK.
struct Link {
    std::uint32_t index = 0;
    std::string name;
    std::string kind;  ///< of a virtual device: "vlan", "macvlan", "tun"; empty for hardware
    net::MacAddress mac;
    std::uint32_t mtu = 0;
    bool up = false;       ///< set up by the administrator
    bool carrier = false;  ///< and the medium is there
    bool loopback = false;
    bool promiscuous = false;    ///< by the administrator, not by a listener
    bool all_multicast = false;  ///< likewise
    std::uint32_t lower = 0;     ///< the interface it stands on, 0 when that is in another namespace
    std::uint32_t master = 0;    ///< the bridge, bond or VRF it belongs to
    std::uint16_t vlan_protocol = 0;  ///< kind "vlan": EtherType of its tag
    std::uint16_t vlan_id = 0;
    std::uint32_t table = 0;  ///< kind "vrf": of its routes
    std::uint8_t bond_mode = 0;         ///< kind "bond": BOND_MODE_*
    std::uint8_t bond_hash_policy = 0;  ///< kind "bond": BOND_XMIT_POLICY_*
    /// Member of a bond that sends nothing now: a backup, dead, or not agreed on by LACP.
    bool idle_member = false;
    TunnelDevice tunnel;

    friend bool operator==(const Link&, const Link&) = default;
};

/// RTM_NEWADDR.
struct Address {
    std::uint32_t interface = 0;
    net::IpAddress address;  ///< the host's own end
    std::uint8_t length = 0;
    net::IpAddress peer;  ///< other end of a point-to-point address, else equal to `address`
    std::uint8_t scope = 0;
    bool secondary = false;
    bool tentative = false;  ///< duplicate address detection still runs or has failed

    friend bool operator==(const Address&, const Address&) = default;
};

/// RTM_NEWNEIGH of the IPv4 and IPv6 tables.
struct Neighbour {
    std::uint32_t interface = 0;
    net::IpAddress address;
    net::MacAddress mac;
    std::uint16_t state = 0;  ///< NUD_*
    bool proxy = false;
    bool managed = false;  ///< the kernel keeps it resolved

    /// The kernel would send to `mac` now. Linux: NUD_VALID.
    bool usable() const noexcept;
    bool permanent() const noexcept;

    friend bool operator==(const Neighbour&, const Neighbour&) = default;
};

/// One way of a route or next-hop object.
struct RouteHop {
    std::uint32_t interface = 0;
    std::uint16_t weight = 1;
    bool has_gateway = false;
    bool encapsulated = false;  ///< a light-weight tunnel: MPLS, SRv6
    net::IpAddress gateway;     ///< may be of the other family

    friend bool operator==(const RouteHop&, const RouteHop&) = default;
};

/// RTM_NEWROUTE. A prefix may have several: by table, type of service, priority, and in IPv4 even
/// with all of these equal.
struct Route {
    net::Prefix prefix;
    std::uint32_t table = 0;
    std::uint32_t priority = 0;
    std::uint32_t next_hop_id = 0;  ///< of a next-hop object, 0 without
    std::uint16_t mtu = 0;          ///< 0: none of its own
    std::uint8_t type_of_service = 0;
    std::uint8_t type = 0;  ///< RTN_*
    std::uint8_t protocol = 0;
    std::uint8_t scope = 0;
    bool has_preferred_source = false;
    net::IpAddress preferred_source;
    std::vector<RouteHop> hops;

    friend bool operator==(const Route&, const Route&) = default;
};

/// RTM_NEWRULE.
struct Rule {
    struct Ports {
        std::uint16_t first = 0;
        std::uint16_t last = 0;

        friend bool operator==(const Ports&, const Ports&) = default;
    };

    net::Family family = net::Family::inet;
    std::uint32_t priority = 0;
    std::uint32_t table = 0;
    std::uint8_t action = 0;  ///< FR_ACT_*
    bool inverted = false;
    bool selective = false;  ///< has any selector
    bool foreign = false;    ///< has a selector that only the kernel knows: user, tunnel, group
    bool vrf = false;        ///< l3mdev: the table of the packet's VRF
    std::uint8_t type_of_service = 0;
    std::uint8_t protocol = 0;
    std::int32_t suppress_length = -1;
    std::uint32_t jump_to = 0;  ///< priority of the rule where a goto leads
    std::uint32_t mark = 0;
    std::uint32_t mark_mask = 0;
    net::Prefix source;       ///< length 0: any
    net::Prefix destination;
    std::string input;        ///< names of interfaces, which need not exist
    std::string output;
    Ports source_ports;
    Ports destination_ports;
    std::string selector;  ///< the message's attributes as bytes: what makes it this rule

    friend bool operator==(const Rule&, const Rule&) = default;
};

/// RTM_NEWNEXTHOP.
struct NextHopObject {
    struct Member {
        std::uint32_t id = 0;
        std::uint16_t weight = 1;

        friend bool operator==(const Member&, const Member&) = default;
    };

    std::uint32_t id = 0;
    bool blackhole = false;
    RouteHop hop;
    std::vector<Member> group;  ///< not empty: this is a group

    friend bool operator==(const NextHopObject&, const NextHopObject&) = default;
};

/// What can be dumped from the kernel in one go.
enum class Kind : std::uint8_t {
    link,
    next_hop,
    address,
    neighbour,
    route_v4,
    route_v6,
    rule,
    count_
};

inline constexpr std::size_t kinds = static_cast<std::size_t>(Kind::count_);

using Object = std::variant<Link, NextHopObject, Address, Neighbour, Route, Rule>;

Kind kind_of(const Object& object) noexcept;

/// Something in the kernel is so from now on.
struct Event {
    enum class Change : std::uint8_t {
        present,   ///< it exists, in the order of a dump
        added,     ///< in front of its equals
        appended,  ///< behind its equals
        replaced,  ///< instead of the first of its equals
        removed,
    };

    Change change = Change::present;
    Object object;

    friend bool operator==(const Event&, const Event&) = default;
};

}  // namespace nlvs::kni
