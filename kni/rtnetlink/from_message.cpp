#include "kni/rtnetlink/from_message.hpp"

#include "kni/rtnetlink/fields.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

namespace nlvs::kni {
namespace {

using netlink::Bytes;
using netlink::take_attribute;

Decoded decode_address(Bytes payload) {
    const auto header = take_header<ifaddrmsg>(payload);
    if (!header) return std::unexpected{Ignored::malformed};
    if (!is_ip(header->ifa_family)) return std::unexpected{Ignored::family};
    std::optional<net::IpAddress> local;
    std::optional<net::IpAddress> address;
    std::uint32_t flags = header->ifa_flags;
    while (const auto attribute = take_attribute(payload)) {
        switch (attribute->type()) {
            case IFA_LOCAL:
                local = address_of(attribute->payload(), header->ifa_family);
                break;
            case IFA_ADDRESS:
                address = address_of(attribute->payload(), header->ifa_family);
                break;
            case IFA_FLAGS:
                flags = attribute->value<std::uint32_t>();
                break;
            default:
                break;
        }
    }
    if (!address && !local) return std::unexpected{Ignored::malformed};
    Address result;
    result.interface = header->ifa_index;
    result.address = local.value_or(address.value_or(net::IpAddress{}));
    result.peer = address.value_or(result.address);
    result.length = header->ifa_prefixlen;
    result.scope = header->ifa_scope;
    result.secondary = header->ifa_family == AF_INET && (flags & IFA_F_SECONDARY) != 0;
    result.tentative = (flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) != 0;
    return result;
}

Decoded decode_neighbour(Bytes payload) {
    const auto header = take_header<ndmsg>(payload);
    if (!header) return std::unexpected{Ignored::malformed};
    if (!is_ip(header->ndm_family)) return std::unexpected{Ignored::family};
    Neighbour result;
    result.interface = static_cast<std::uint32_t>(header->ndm_ifindex);
    result.state = header->ndm_state;
    result.proxy = (header->ndm_flags & NTF_PROXY) != 0;
    bool has_address = false;
    while (const auto attribute = take_attribute(payload)) {
        switch (attribute->type()) {
            case NDA_DST:
                if (const auto address = address_of(attribute->payload(), header->ndm_family)) {
                    result.address = *address;
                    has_address = true;
                }
                break;
            case NDA_LLADDR:
                result.mac = mac_address_of(attribute->payload());
                break;
            case NDA_FLAGS_EXT:
                result.managed = (attribute->value<std::uint32_t>() & NTF_EXT_MANAGED) != 0;
                break;
            default:
                break;
        }
    }
    if (!has_address) return std::unexpected{Ignored::malformed};
    return result;
}

Event::Change change_of(const netlink::MessageView& message, bool removal) {
    if (removal) return Event::Change::removed;
    const auto flags = message.header().nlmsg_flags;
    if ((flags & NLM_F_MULTI) != 0) return Event::Change::present;
    if ((flags & NLM_F_REPLACE) != 0) return Event::Change::replaced;
    if ((flags & NLM_F_APPEND) != 0) return Event::Change::appended;
    return Event::Change::added;
}

}  // namespace

bool Neighbour::usable() const noexcept {
    constexpr std::uint16_t valid =
        NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;
    return (state & valid) != 0;
}

bool Neighbour::permanent() const noexcept {
    return (state & (NUD_PERMANENT | NUD_NOARP)) != 0;
}

Kind kind_of(const Object& object) noexcept {
    if (const auto* route = std::get_if<Route>(&object)) {
        return route->prefix.family() == net::Family::inet ? Kind::route_v4 : Kind::route_v6;
    }
    constexpr std::array order{
        Kind::link, Kind::next_hop, Kind::address, Kind::neighbour, Kind::route_v4, Kind::rule};
    return order[object.index()];
}

std::string_view name_of(Ignored reason) noexcept {
    constexpr std::array<std::string_view, ignored_reasons> names{
        "type", "family", "cached", "malformed"};
    return names[static_cast<std::size_t>(reason)];
}

std::expected<Event, Ignored> event_from_message(const netlink::MessageView& message) {
    Decoded object = std::unexpected{Ignored::type};
    bool removal = false;
    switch (message.type()) {
        case RTM_DELLINK:
            removal = true;
            [[fallthrough]];
        case RTM_NEWLINK:
            object = decode_link(message.payload());
            break;
        case RTM_DELADDR:
            removal = true;
            [[fallthrough]];
        case RTM_NEWADDR:
            object = decode_address(message.payload());
            break;
        case RTM_DELNEIGH:
            removal = true;
            [[fallthrough]];
        case RTM_NEWNEIGH:
            object = decode_neighbour(message.payload());
            break;
        case RTM_DELROUTE:
            removal = true;
            [[fallthrough]];
        case RTM_NEWROUTE:
            object = decode_route(message.payload());
            break;
        case RTM_DELRULE:
            removal = true;
            [[fallthrough]];
        case RTM_NEWRULE:
            object = decode_rule(message.payload());
            break;
        case RTM_DELNEXTHOP:
            removal = true;
            [[fallthrough]];
        case RTM_NEWNEXTHOP:
            object = decode_next_hop(message.payload());
            break;
        default:
            break;
    }
    if (!object) return std::unexpected{object.error()};
    return Event{change_of(message, removal), std::move(*object)};
}

}  // namespace nlvs::kni
