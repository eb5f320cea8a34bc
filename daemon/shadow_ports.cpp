#include "daemon/shadow_ports.hpp"

#include <algorithm>

namespace nlvs::daemon {
namespace {

/// The kernel stacks no deeper. Linux: include/linux/netdevice.h MAX_NEST_DEV.
constexpr unsigned deepest_stack = 8;

bool is_stacked(const kni::Link& link) {
    return link.lower != 0 && (link.kind == "vlan" || link.kind == "macvlan");
}

}  // namespace

std::optional<forwarding::PortIndex> ShadowPorts::shadow(std::uint32_t interface) const noexcept {
    for (std::size_t port = 0; port < shadows_.size(); ++port) {
        if (shadows_[port] == interface) return static_cast<forwarding::PortIndex>(port);
    }
    return std::nullopt;
}

template <class Visit>
std::optional<forwarding::PortIndex> ShadowPorts::descend(
    std::uint32_t interface, Visit&& visit
) const {
    for (unsigned depth = 0; depth <= deepest_stack; ++depth) {
        const kni::Link* link = state_.link(interface);
        if (link == nullptr) return std::nullopt;
        visit(*link);
        if (const auto port = shadow(interface)) return port;
        if (!is_stacked(*link)) return std::nullopt;
        interface = link->lower;
    }
    return std::nullopt;
}

std::optional<Way> ShadowPorts::way(std::uint32_t interface) const noexcept {
    Way way;
    way.up = true;
    bool fits = true;
    const auto port = descend(interface, [&](const kni::Link& link) {
        way.up = way.up && link.up;
        if (link.kind != "vlan") return;
        fits = fits && way.tag_count < Way::most_tags;
        if (fits) way.tags[way.tag_count++] = {link.vlan_protocol, link.vlan_id};
    });
    if (!port || !fits) return std::nullopt;
    std::reverse(way.tags.begin(), way.tags.begin() + way.tag_count);
    const kni::Link& top = *state_.link(interface);
    way.port = *port;
    way.interface = interface;
    way.mac = top.mac;
    way.mtu = top.mtu;
    return way;
}

bool ShadowPorts::stands_on(const kni::Link& upper, std::uint32_t interface) const {
    const kni::Link* link = &upper;
    for (unsigned depth = 0; depth <= deepest_stack && link != nullptr; ++depth) {
        if (!is_stacked(*link)) return false;
        if (link->lower == interface) return true;
        link = state_.link(link->lower);
    }
    return false;
}

std::vector<std::uint32_t> ShadowPorts::standing_on(std::uint32_t interface) const {
    std::vector<std::uint32_t> result{interface};
    for (const auto& [index, entry] : state_.links) {
        if (index != interface && stands_on(entry.value, interface)) result.push_back(index);
    }
    return result;
}

}  // namespace nlvs::daemon
