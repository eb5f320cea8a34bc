#include "kni/rtnetlink/fields.hpp"

#include <algorithm>
#include <vector>

#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

namespace nlvs::kni {
namespace {

using netlink::AttributeView;
using netlink::Bytes;
using netlink::take_attribute;

/// RTA_VIA: the family of the gateway, then its address.
void set_via(RouteHop& hop, Bytes payload) {
    const auto family = net::extract<std::uint16_t>(payload);
    if (!family || *family > 0xFF) return;
    const auto gateway =
        address_of(payload.subspan(sizeof(*family)), static_cast<std::uint8_t>(*family));
    hop.has_gateway = gateway.has_value();
    hop.gateway = gateway.value_or(net::IpAddress{});
}

void set_gateway(RouteHop& hop, Bytes payload, std::uint8_t family) {
    const auto gateway = address_of(payload, family);
    hop.has_gateway = gateway.has_value();
    hop.gateway = gateway.value_or(net::IpAddress{});
}

/// Attributes that a route's only way and each of several ways have in common.
void set_hop(RouteHop& hop, const AttributeView& attribute, std::uint8_t family) {
    switch (attribute.type()) {
        case RTA_GATEWAY:
            set_gateway(hop, attribute.payload(), family);
            break;
        case RTA_VIA:
            set_via(hop, attribute.payload());
            break;
        case RTA_ENCAP_TYPE:
            hop.encapsulated = attribute.value<std::uint16_t>() != 0;
            break;
        default:
            break;
    }
}

std::vector<RouteHop> decode_multipath(Bytes payload, std::uint8_t family) {
    std::vector<RouteHop> hops;
    while (const auto header = net::extract<rtnexthop>(payload)) {
        if (header->rtnh_len < sizeof(rtnexthop) || header->rtnh_len > payload.size()) break;
        RouteHop hop;
        hop.interface = static_cast<std::uint32_t>(header->rtnh_ifindex);
        hop.weight = static_cast<std::uint16_t>(header->rtnh_hops + 1);
        Bytes attributes = payload.subspan(sizeof(rtnexthop), header->rtnh_len - sizeof(rtnexthop));
        while (const auto attribute = take_attribute(attributes)) set_hop(hop, *attribute, family);
        hops.push_back(hop);
        const std::size_t step = netlink::aligned(header->rtnh_len);
        payload = step < payload.size() ? payload.subspan(step) : Bytes{};
    }
    return hops;
}

std::uint16_t decode_mtu(Bytes metrics) {
    while (const auto metric = take_attribute(metrics)) {
        if (metric->type() != RTAX_MTU) continue;
        return static_cast<std::uint16_t>(std::min(metric->value<std::uint32_t>(), 0xFFFFU));
    }
    return 0;
}

}  // namespace

Decoded decode_route(Bytes payload) {
    const auto header = take_header<rtmsg>(payload);
    if (!header) return std::unexpected{Ignored::malformed};
    if (!is_ip(header->rtm_family)) return std::unexpected{Ignored::family};
    if ((header->rtm_flags & RTM_F_CLONED) != 0) return std::unexpected{Ignored::cached};
    Route route;
    route.table = header->rtm_table;
    route.type_of_service = header->rtm_tos;
    route.type = header->rtm_type;
    route.protocol = header->rtm_protocol;
    route.scope = header->rtm_scope;
    net::IpAddress destination = any_address(header->rtm_family);
    RouteHop only;
    while (const auto attribute = take_attribute(payload)) {
        switch (attribute->type()) {
            case RTA_DST:
                destination =
                    address_of(attribute->payload(), header->rtm_family).value_or(destination);
                break;
            case RTA_TABLE:
                route.table = attribute->value<std::uint32_t>();
                break;
            case RTA_PRIORITY:
                route.priority = attribute->value<std::uint32_t>();
                break;
            case RTA_NH_ID:
                route.next_hop_id = attribute->value<std::uint32_t>();
                break;
            case RTA_METRICS:
                route.mtu = decode_mtu(attribute->payload());
                break;
            case RTA_OIF:
                only.interface = attribute->value<std::uint32_t>();
                break;
            case RTA_PREFSRC:
                if (const auto source = address_of(attribute->payload(), header->rtm_family)) {
                    route.has_preferred_source = true;
                    route.preferred_source = *source;
                }
                break;
            case RTA_MULTIPATH:
                route.hops = decode_multipath(attribute->payload(), header->rtm_family);
                break;
            default:
                set_hop(only, *attribute, header->rtm_family);
                break;
        }
    }
    if (header->rtm_dst_len > destination.bits()) return std::unexpected{Ignored::malformed};
    route.prefix = net::Prefix{destination, header->rtm_dst_len};
    if (route.hops.empty() && only.interface != 0) route.hops.push_back(only);
    return route;
}

Decoded decode_next_hop(Bytes payload) {
    const auto header = take_header<nhmsg>(payload);
    if (!header) return std::unexpected{Ignored::malformed};
    NextHopObject result;
    while (const auto attribute = take_attribute(payload)) {
        switch (attribute->type()) {
            case NHA_ID:
                result.id = attribute->value<std::uint32_t>();
                break;
            case NHA_BLACKHOLE:
                result.blackhole = true;
                break;
            case NHA_OIF:
                result.hop.interface = attribute->value<std::uint32_t>();
                break;
            case NHA_GATEWAY:
                set_gateway(result.hop, attribute->payload(), header->nh_family);
                break;
            case NHA_ENCAP_TYPE:
                result.hop.encapsulated = attribute->value<std::uint16_t>() != 0;
                break;
            case NHA_GROUP: {
                Bytes members = attribute->payload();
                while (const auto member = net::extract<nexthop_grp>(members)) {
                    result.group.push_back(
                        {member->id, static_cast<std::uint16_t>(member->weight + 1)}
                    );
                    members = members.subspan(sizeof(nexthop_grp));
                }
                break;
            }
            default:
                break;
        }
    }
    if (result.id == 0) return std::unexpected{Ignored::malformed};
    return result;
}

}  // namespace nlvs::kni
