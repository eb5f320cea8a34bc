#include "kni/rtnetlink/fields.hpp"

#include <linux/if.h>
#include <linux/if_bonding.h>
#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/ip6_tunnel.h>
#include <linux/rtnetlink.h>

namespace nlvs::kni {
namespace {

using netlink::Bytes;
using netlink::take_attribute;

/// What an attribute of each name is called in the two numberings of tunnel attributes.
struct TunnelNames {
    std::uint16_t local, remote, time_to_live, type_of_service, path_mtu_discovery, flow, flags,
        encapsulation, metadata;
};

constexpr TunnelNames iptun_names{
    IFLA_IPTUN_LOCAL,     IFLA_IPTUN_REMOTE,   IFLA_IPTUN_TTL,   IFLA_IPTUN_TOS,
    IFLA_IPTUN_PMTUDISC,  IFLA_IPTUN_FLOWINFO, IFLA_IPTUN_FLAGS, IFLA_IPTUN_ENCAP_TYPE,
    IFLA_IPTUN_COLLECT_METADATA};
constexpr TunnelNames gre_names{
    IFLA_GRE_LOCAL,    IFLA_GRE_REMOTE,   IFLA_GRE_TTL,   IFLA_GRE_TOS,
    IFLA_GRE_PMTUDISC, IFLA_GRE_FLOWINFO, IFLA_GRE_FLAGS, IFLA_GRE_ENCAP_TYPE,
    IFLA_GRE_COLLECT_METADATA};

/// True if the GRE flags ask for nothing but a key. Linux: if_tunnel.h GRE_*.
bool read_gre_flags(Bytes payload, bool& has_key) {
    const auto flags = net::extract<net::Be16>(payload);
    constexpr std::uint16_t key = 0x2000;
    if (!flags) return false;
    has_key = (flags->host() & key) != 0;
    return (flags->host() & ~key) == 0;
}

std::uint32_t read_key(Bytes payload) {
    const auto key = net::extract<net::Be32>(payload);
    return key ? key->host() : 0;
}

/// Linux: ip_tunnel.c ip_tunnel_xmit (the lowest bit of TOS says "inherit"); ip6_tunnel.c
/// ip6_tnl_xmit, where the traffic class is a part of the flow information.
TunnelDevice read_tunnel(Bytes details, const TunnelNames& names, bool gre, bool over_v6) {
    constexpr std::uint8_t inherit = 1;
    const std::uint8_t family = over_v6 ? AF_INET6 : AF_INET;
    TunnelDevice tunnel;
    tunnel.plain = true;
    tunnel.local = tunnel.remote = any_address(family);
    tunnel.inherits_service = false;
    while (const auto attribute = take_attribute(details)) {
        const std::uint16_t type = attribute->type();
        const Bytes payload = attribute->payload();
        if (type == names.local) {
            tunnel.local = address_of(payload, family).value_or(tunnel.local);
        } else if (type == names.remote) {
            tunnel.remote = address_of(payload, family).value_or(tunnel.remote);
        } else if (type == names.time_to_live) {
            tunnel.time_to_live = attribute->value<std::uint8_t>();
        } else if (type == names.type_of_service && !over_v6) {
            const auto service = attribute->value<std::uint8_t>();
            tunnel.inherits_service = (service & inherit) != 0;
            tunnel.type_of_service = service & static_cast<std::uint8_t>(~inherit);
        } else if (type == names.path_mtu_discovery && !over_v6) {
            tunnel.dont_fragment = attribute->value<std::uint8_t>() != 0;
        } else if (type == names.flow && over_v6) {
            tunnel.type_of_service = static_cast<std::uint8_t>(read_key(payload) >> 20);
        } else if (type == names.flags && over_v6) {
            const auto flags = attribute->value<std::uint32_t>();
            tunnel.inherits_service = (flags & IP6_TNL_F_USE_ORIG_TCLASS) != 0;
        } else if (type == names.encapsulation) {
            if (attribute->value<std::uint16_t>() != TUNNEL_ENCAP_NONE) tunnel.plain = false;
        } else if (type == names.metadata) {
            tunnel.plain = false;
        } else if (!gre && type == IFLA_IPTUN_PROTO) {
            tunnel.inside = attribute->value<std::uint8_t>();
        } else if (gre && type == IFLA_GRE_IFLAGS) {
            if (!read_gre_flags(payload, tunnel.has_input_key)) tunnel.plain = false;
        } else if (gre && type == IFLA_GRE_OFLAGS) {
            if (!read_gre_flags(payload, tunnel.has_output_key)) tunnel.plain = false;
        } else if (gre && type == IFLA_GRE_IKEY) {
            tunnel.input_key = read_key(payload);
        } else if (gre && type == IFLA_GRE_OKEY) {
            tunnel.output_key = read_key(payload);
        }
    }
    if (!tunnel.has_input_key) tunnel.input_key = 0;
    if (!tunnel.has_output_key) tunnel.output_key = 0;
    if (tunnel.remote.is_any()) tunnel.plain = false;
    constexpr std::uint8_t default_hop_limit = 64;
    if (over_v6 && tunnel.time_to_live == 0) tunnel.time_to_live = default_hop_limit;
    return tunnel;
}

void read_details(Bytes details, Link& link) {
    if (link.kind == "ipip" || link.kind == "sit" || link.kind == "ip6tnl") {
        link.tunnel = read_tunnel(details, iptun_names, false, link.kind == "ip6tnl");
    } else if (link.kind == "gre" || link.kind == "ip6gre") {
        link.tunnel = read_tunnel(details, gre_names, true, link.kind == "ip6gre");
    }
    while (const auto attribute = take_attribute(details)) {
        const std::uint16_t type = attribute->type();
        if (link.kind == "vlan" && type == IFLA_VLAN_ID) {
            link.vlan_id = attribute->value<std::uint16_t>();
        } else if (link.kind == "vlan" && type == IFLA_VLAN_PROTOCOL) {
            link.vlan_protocol = attribute->value<net::Be16>().host();
        } else if (link.kind == "vrf" && type == IFLA_VRF_TABLE) {
            link.table = attribute->value<std::uint32_t>();
        } else if (link.kind == "bond" && type == IFLA_BOND_MODE) {
            link.bond_mode = attribute->value<std::uint8_t>();
        } else if (link.kind == "bond" && type == IFLA_BOND_XMIT_HASH_POLICY) {
            link.bond_hash_policy = attribute->value<std::uint8_t>();
        }
    }
}

/// Linux: bond_main.c bond_slave_can_tx.
bool is_idle_member(Bytes details) {
    bool idle = false;
    while (const auto attribute = take_attribute(details)) {
        if (attribute->type() == IFLA_BOND_SLAVE_STATE) {
            idle = idle || attribute->value<std::uint8_t>() != BOND_STATE_ACTIVE;
        } else if (attribute->type() == IFLA_BOND_SLAVE_MII_STATUS) {
            idle = idle || attribute->value<std::uint8_t>() != BOND_LINK_UP;
        }
    }
    return idle;
}

/// The details mean something else for each kind, so they are read once the kind is known.
void read_kind(Bytes information, Link& link) {
    Bytes details;
    Bytes member_details;
    bool is_member = false;
    while (const auto attribute = take_attribute(information)) {
        switch (attribute->type()) {
            case IFLA_INFO_KIND: link.kind = attribute->text(); break;
            case IFLA_INFO_DATA: details = attribute->payload(); break;
            case IFLA_INFO_SLAVE_KIND: is_member = attribute->text() == "bond"; break;
            case IFLA_INFO_SLAVE_DATA: member_details = attribute->payload(); break;
            default: break;
        }
    }
    read_details(details, link);
    link.idle_member = is_member && is_idle_member(member_details);
}

}  // namespace

Decoded decode_link(Bytes payload) {
    const auto header = take_header<ifinfomsg>(payload);
    if (!header || header->ifi_index <= 0) return std::unexpected{Ignored::malformed};
    if (header->ifi_family != AF_UNSPEC) return std::unexpected{Ignored::family};
    Link link;
    link.index = static_cast<std::uint32_t>(header->ifi_index);
    link.up = (header->ifi_flags & IFF_UP) != 0;
    link.carrier = (header->ifi_flags & IFF_LOWER_UP) != 0;
    link.loopback = (header->ifi_flags & IFF_LOOPBACK) != 0;
    link.promiscuous = (header->ifi_flags & IFF_PROMISC) != 0;
    link.all_multicast = (header->ifi_flags & IFF_ALLMULTI) != 0;
    bool lower_is_elsewhere = false;
    while (const auto attribute = take_attribute(payload)) {
        switch (attribute->type()) {
            case IFLA_IFNAME:
                link.name = attribute->text();
                break;
            case IFLA_ADDRESS:
                link.mac = mac_address_of(attribute->payload());
                break;
            case IFLA_MTU:
                link.mtu = attribute->value<std::uint32_t>();
                break;
            case IFLA_LINK:
                link.lower = attribute->value<std::uint32_t>();
                break;
            case IFLA_MASTER:
                link.master = attribute->value<std::uint32_t>();
                break;
            case IFLA_LINK_NETNSID:
                lower_is_elsewhere = true;
                break;
            case IFLA_LINKINFO:
                read_kind(attribute->payload(), link);
                break;
            default:
                break;
        }
    }
    // A number of another namespace could be that of an interface here.
    if (lower_is_elsewhere) link.lower = 0;
    return link;
}

}  // namespace nlvs::kni
