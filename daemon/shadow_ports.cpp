#include "daemon/shadow_ports.hpp"

#include <algorithm>

#include <linux/if_bonding.h>

namespace nlvs::daemon {
namespace {

/// The kernel stacks no deeper. Linux: include/linux/netdevice.h MAX_NEST_DEV.
constexpr unsigned deepest_stack = 8;

bool is_stacked(const kni::Link& link) {
    return link.lower != 0 && (link.kind == "vlan" || link.kind == "macvlan");
}

/// Of the modes that the engine can follow.
bool is_bond(const kni::Link& link) {
    if (link.kind != "bond") return false;
    switch (link.bond_mode) {
        case BOND_MODE_ROUNDROBIN:
        case BOND_MODE_ACTIVEBACKUP:
        case BOND_MODE_XOR:
        case BOND_MODE_8023AD: return true;
        default: return false;
    }
}

/// Encapsulated flows are told apart by their outer headers.
forwarding::Spread spread_of(const kni::Link& bond) {
    if (bond.bond_mode == BOND_MODE_ROUNDROBIN) return forwarding::Spread::turn;
    switch (bond.bond_hash_policy) {
        case BOND_XMIT_POLICY_LAYER34:
        case BOND_XMIT_POLICY_ENCAP34: return forwarding::Spread::flow;
        case BOND_XMIT_POLICY_LAYER23:
        case BOND_XMIT_POLICY_ENCAP23: return forwarding::Spread::addresses;
        default: return forwarding::Spread::none;
    }
}

}  // namespace

std::optional<forwarding::PortIndex> ShadowPorts::shadow(std::uint32_t interface) const noexcept {
    for (std::size_t port = 0; port < shadows_.size(); ++port) {
        if (shadows_[port] == interface) return static_cast<forwarding::PortIndex>(port);
    }
    return std::nullopt;
}

bool ShadowPorts::is_member(const kni::Link& link) const noexcept {
    const kni::Link* master = link.master == 0 ? nullptr : state_.link(link.master);
    return master != nullptr && is_bond(*master);
}

template <class Visit>
const kni::Link* ShadowPorts::base_of(std::uint32_t interface, Visit&& visit) const {
    for (unsigned depth = 0; depth <= deepest_stack; ++depth) {
        const kni::Link* link = state_.link(interface);
        if (link == nullptr) return nullptr;
        visit(*link);
        if (shadow(interface) || is_bond(*link)) return link;
        if (!is_stacked(*link)) return nullptr;
        interface = link->lower;
    }
    return nullptr;
}

void ShadowPorts::enter_bond(const kni::Link& bond, Way& way) const {
    for (std::size_t port = 0; port < shadows_.size(); ++port) {
        const kni::Link* member = state_.link(shadows_[port]);
        if (member == nullptr || member->master != bond.index) continue;
        way.receivers.push_back(static_cast<forwarding::PortIndex>(port));
        if (member->up && member->carrier && !member->idle_member) {
            way.senders.push_back(static_cast<forwarding::PortIndex>(port));
        }
    }
    way.up = way.up && !way.senders.empty();
    if (!way.senders.empty()) way.port = way.senders.front();
    if (way.senders.size() > 1) {
        way.spread = spread_of(bond);
    } else {
        way.senders.clear();
    }
}

std::optional<Way> ShadowPorts::way(std::uint32_t interface) const {
    Way way;
    way.up = true;
    bool fits = true;
    const kni::Link* base = base_of(interface, [&](const kni::Link& link) {
        way.up = way.up && link.up;
        if (link.kind != "vlan") return;
        fits = fits && way.tag_count < Way::most_tags;
        if (fits) way.tags[way.tag_count++] = {link.vlan_protocol, link.vlan_id};
    });
    if (base == nullptr || !fits) return std::nullopt;
    std::reverse(way.tags.begin(), way.tags.begin() + way.tag_count);
    if (const auto port = shadow(base->index)) {
        way.port = *port;
        way.receivers = {*port};
    } else {
        enter_bond(*base, way);
        if (way.receivers.empty()) return std::nullopt;
    }
    const kni::Link& top = *state_.link(interface);
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
    const kni::Link* below = state_.link(interface);
    const std::uint32_t bond = below != nullptr && is_member(*below) ? below->master : 0;
    for (const auto& [index, entry] : state_.links) {
        const bool stands = index == bond || stands_on(entry.value, interface) ||
                            (bond != 0 && stands_on(entry.value, bond));
        if (index != interface && stands) result.push_back(index);
    }
    return result;
}

}  // namespace nlvs::daemon
