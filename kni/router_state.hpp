#pragma once

#include "compat/net/ip_address.hpp"
#include "compat/netlink/message.hpp"

#include <cstdint>
#include <map>
#include <string>

namespace nlvs::kni {

/// How far the kernel routes packets from one interface to another, and whether anybody but the
/// routing tables has a say in them. Thread: control.
struct RouterState {
    /// Strictness of net.ipv4.conf.*.rp_filter.
    enum class SourceCheck : std::uint8_t { none = 0, strict = 1, loose = 2 };

    struct Interface {
        bool forwards_v4 = false;
        bool forwards_v6 = false;
        SourceCheck source_check = SourceCheck::none;

        friend bool operator==(const Interface&, const Interface&) = default;
    };

    /// Number of net.*.conf.all among the interfaces.
    static constexpr std::uint32_t all = ~0U;

    std::map<std::uint32_t, Interface> interfaces;  ///< by ifindex
    /// Rules of netfilter or policies of IPsec that packets passing through would meet, the first
    /// one found; empty: none.
    std::string obstacle_v4, obstacle_v6;

    /// Packets of the family that came in by the interface are routed. Linux: route.c
    /// ip_route_input_slow (IN_DEV_FORWARD), ip6_output.c ip6_forward.
    bool forwards(net::Family family, std::uint32_t interface) const;
    /// Linux: inetdevice.h IN_DEV_RPFILTER — the stricter number of all's and the interface's.
    SourceCheck source_check(std::uint32_t interface) const;

    const std::string& obstacle(net::Family family) const {
        return family == net::Family::inet ? obstacle_v4 : obstacle_v6;
    }

    friend bool operator==(const RouterState&, const RouterState&) = default;
};

/// RTM_NEWNETCONF. Linux: devinet.c inet_netconf_fill_devconf, addrconf.c.
void take_settings(RouterState& state, const netlink::MessageView& message);
/// NFT_MSG_NEWCHAIN: a chain that hangs on a hook of forwarded packets is an obstacle, other than
/// those of nlvsd itself. Linux: nf_tables_api.c nf_tables_fill_chain_info.
void take_chain(RouterState& state, const netlink::MessageView& message);
/// XFRM_MSG_NEWPOLICY: one for packets that leave or pass through is an obstacle.
void take_policy(RouterState& state, const netlink::MessageView& message);
/// /proc/net/ip_tables_names: a table of the old iptables is there, whatever is in it.
void take_old_tables(RouterState& state, net::Family family, const std::string& names);

}  // namespace nlvs::kni
