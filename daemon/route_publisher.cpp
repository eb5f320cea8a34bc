#include "daemon/route_publisher.hpp"

#include "daemon/own_addresses.hpp"
#include "daemon/rule_builder.hpp"
#include "daemon/untracked_destinations.hpp"
#include "forwarding/transmit/tunnel.hpp"

#include <algorithm>
#include <tuple>

#include <linux/rtnetlink.h>

namespace nlvs::daemon {

using forwarding::NextHop;

namespace {

bool is_tunnel(const kni::Link* link) { return link != nullptr && is_followed_tunnel(*link); }

}  // namespace

RoutePublisher::RoutePublisher(
    forwarding::Configuration& configuration,
    forwarding::Reclaimer& reclaimer,
    kni::NeighbourResolver& resolver,
    std::vector<std::uint32_t> interfaces,
    const kni::KernelState& state
)
    : configuration_{configuration},
      reclaimer_{reclaimer},
      resolver_{resolver},
      state_{state},
      ports_{std::move(interfaces), state},
      neighbours_{configuration, reclaimer, resolver, ports_, state},
      ingress_{configuration, reclaimer, ports_, state},
      tunnels_{configuration, reclaimer, neighbours_, ports_, state} {}

RoutePublisher::~RoutePublisher() {
    for (auto& [id, tracked] : tracked_) delete tracked.slot->tunnel.exchange(nullptr);
}

void RoutePublisher::want(const forwarding::NeighbourWanted& wanted) {
    resolver_.probe({wanted.interface, wanted.address});
}

forwarding::RoutingPolicy& RoutePublisher::policy(net::Family family) noexcept {
    return family == net::Family::inet ? configuration_.routes_v4 : configuration_.routes_v6;
}

void RoutePublisher::routes_changed(const net::Prefix& prefix) {
    auto& policy = this->policy(prefix.family());
    std::vector<Built> built;
    if (const auto found = state_.routes.find(prefix); found != state_.routes.end()) {
        for (const auto& entry : found->second) {
            const std::uint32_t table = entry.value.table;
            if (std::ranges::count(built, table, &Built::table) != 0) continue;
            built.push_back({table, build_route(state_, found->second, table, ports_)});
        }
    }
    // Gateways that stay are never let go of in between.
    pin_gateways(prefix, built);
    bool changed = false;
    for (const std::uint32_t table : policy.tables()) {
        const bool stays = std::ranges::any_of(built, [table](const Built& entry) {
            return entry.table == table && entry.route != nullptr;
        });
        if (!stays) changed |= policy.remove(table, prefix, reclaimer_);
    }
    for (Built& entry : built) {
        if (entry.route == nullptr) continue;
        policy.insert(entry.table, prefix, std::move(entry.route), reclaimer_);
        changed = true;
    }
    if (!changed) return;
    configuration_.routing_generation.fetch_add(1, std::memory_order_release);
    if (tunnels_.concerns(prefix)) tunnels_.refresh();
    refresh_covered(prefix);
}

/// The kernel sends nothing to a gateway itself when the engine forwards, so without this its
/// entry would go stale and a change of its address unnoticed.
void RoutePublisher::pin_gateways(const net::Prefix& prefix, const std::vector<Built>& built) {
    std::vector<kni::NeighbourKey> keys;
    const auto add = [&keys](const NextHop& hop) {
        if (hop.type != NextHop::Type::unicast || hop.on_link) return;
        const kni::NeighbourKey key{hop.interface, hop.via};
        if (std::ranges::count(keys, key) == 0) keys.push_back(key);
    };
    for (const Built& entry : built) {
        if (entry.route == nullptr) continue;
        add(entry.route->single);
        for (const auto& hop : entry.route->hops) add(hop);
    }
    const auto entry = gateways_of_.find(prefix);
    std::optional<Gateways::iterator> before;
    if (entry != gateways_of_.end()) before = entry->second;
    if (before ? (*before)->first == keys : keys.empty()) return;
    if (keys.empty()) {
        gateways_of_.erase(entry);
    } else {
        const auto [set, is_new] = gateways_.try_emplace(keys, 0U);
        if (is_new) {
            for (const auto& key : keys) neighbours_.pin(key);
        }
        ++set->second;
        gateways_of_.insert_or_assign(prefix, set);
    }
    if (!before || --(*before)->second != 0) return;
    for (const auto& key : (*before)->first) neighbours_.unpin(key);
    gateways_.erase(*before);
}

void RoutePublisher::refresh_covered(const net::Prefix& prefix) {
    for (auto at = tracked_by_address_.lower_bound(prefix.address());
         at != tracked_by_address_.end() && prefix.contains(at->first);
         ++at) {
        refresh(forwarding::DestinationId{at->second}, tracked_.at(at->second));
    }
}

void RoutePublisher::link_changed(const kni::Link* before, const kni::Link* after) {
    const kni::Link& link = after != nullptr ? *after : *before;
    if (const auto port = ports_.shadow(link.index)) {
        store_port(after != nullptr ? *after : kni::Link{}, *port);
        if (after != nullptr && port_changed_) port_changed_(*port, link);
    }
    ingress_.refresh();
    if (links_changed_) links_changed_();
    if (rules_name(state_, before, after)) {
        rules_changed(net::Family::inet);
        rules_changed(net::Family::inet6);
    }
    if (is_tunnel(before) || is_tunnel(after)) tunnels_.refresh();
    // The same link with another name leads where it led before, and with another carrier unless
    // it is a member of a bond. Routes know no members.
    const auto shape = [](const kni::Link& of) {
        return std::tie(
            of.up, of.mtu, of.kind, of.lower, of.master, of.vlan_protocol, of.vlan_id, of.bond_mode,
            of.tunnel
        );
    };
    const auto headers = [this](const kni::Link& of) {
        const bool sends = ports_.is_member(of) && of.carrier && !of.idle_member;
        return std::tuple{of.mac, of.bond_hash_policy, sends};
    };
    const bool same = before != nullptr && after != nullptr && shape(*before) == shape(*after);
    if (same && headers(*before) == headers(*after)) return;
    auto interfaces = ports_.standing_on(link.index);
    if (before != nullptr && before->master != 0 && before->master != link.master) {
        const auto left = ports_.standing_on(before->master);
        interfaces.insert(interfaces.end(), left.begin(), left.end());
    }
    neighbours_.links_changed(interfaces);
    if (same) return;
    publish_own_addresses();
    refresh_routes_through(interfaces);
}

void RoutePublisher::refresh_routes_through(const std::vector<std::uint32_t>& interfaces) {
    const auto leads_there = [&interfaces](const kni::RouteHop& hop) {
        return std::ranges::count(interfaces, hop.interface) != 0;
    };
    std::vector<net::Prefix> prefixes;
    for (const auto& [prefix, set] : state_.routes) {
        const bool uses = std::ranges::any_of(set, [&](const auto& entry) {
            return entry.value.next_hop_id == 0
                       ? std::ranges::any_of(entry.value.hops, leads_there)
                       : std::ranges::any_of(state_.hops_of(entry.value), leads_there);
        });
        if (uses) prefixes.push_back(prefix);
    }
    for (const auto& prefix : prefixes) routes_changed(prefix);
}

void RoutePublisher::store_port(const kni::Link& link, forwarding::PortIndex port) {
    forwarding::PortState& state = configuration_.ports[port];
    state.interface.store(link.index, std::memory_order_relaxed);
    state.mac.store(forwarding::station_word(link.mac), std::memory_order_relaxed);
    constexpr std::uint32_t usual_mtu = 1500;
    const std::uint32_t mtu = link.mtu == 0 ? usual_mtu : std::min(link.mtu, 0xFFFFU);
    state.mtu.store(static_cast<std::uint16_t>(mtu), std::memory_order_relaxed);
    state.up.store(link.up, std::memory_order_relaxed);
}

void RoutePublisher::address_changed(const kni::Address& address, bool) {
    publish_own_addresses();
    if (tunnels_.any()) tunnels_.refresh();
    // Routes tell the rest; a tunnel's source is chosen among the addresses.
    for (auto& [id, tracked] : tracked_) {
        const bool affected = tracked.tunnels &&
                              tracked.address.family() == address.address.family();
        if (affected) refresh(forwarding::DestinationId{id}, tracked);
    }
}

void RoutePublisher::publish_own_addresses() {
    configuration_.own_addresses.publish(own_addresses(state_, ports_), reclaimer_);
}

void RoutePublisher::neighbour_changed(const kni::Neighbour& neighbour, bool) {
    neighbours_.neighbour_changed({neighbour.interface, neighbour.address});
}

void RoutePublisher::rules_changed(net::Family family) {
    policy(family).set_rules(build_rules(state_, family), reclaimer_);
    configuration_.routing_generation.fetch_add(1, std::memory_order_release);
    if (tunnels_.any()) tunnels_.refresh();
    for (auto& [id, tracked] : tracked_) {
        if (tracked.address.family() == family) refresh(forwarding::DestinationId{id}, tracked);
    }
}

std::size_t RoutePublisher::foreign_rules() const noexcept { return daemon::foreign_rules(state_); }

void RoutePublisher::track(
    forwarding::DestinationId id,
    forwarding::DestinationSlot& slot,
    const net::IpAddress& address,
    ipvs::ForwardingMethod method,
    const ipvs::Tunnel& tunnel
) {
    if (const auto found = tracked_.find(id.value);
        found != tracked_.end() &&
        (found->second.slot != &slot || found->second.address != address)) {
        untrack(id);
    }
    auto [entry, is_new] = tracked_.try_emplace(id.value);
    Tracked& tracked = entry->second;
    tracked.slot = &slot;
    tracked.address = address;
    tracked.tunnels = tracked.tunnels || method == ipvs::ForwardingMethod::tunnel;
    tracked.tunnel = tunnel;
    if (is_new) tracked_by_address_.emplace(address, id.value);
    refresh(id, tracked);
}

void RoutePublisher::untrack(forwarding::DestinationId id) {
    const auto found = tracked_.find(id.value);
    if (found == tracked_.end()) return;
    Tracked& tracked = found->second;
    tracked.slot->adjacency.store(nullptr, std::memory_order_release);
    tracked.slot->local.store(false, std::memory_order_relaxed);
    set_tunnel(tracked, nullptr);
    if (tracked.pinned) neighbours_.unpin(*tracked.pinned);
    const auto [first, last] = tracked_by_address_.equal_range(tracked.address);
    tracked_by_address_.erase(std::find_if(first, last, [id](const auto& entry) {
        return entry.second == id.value;
    }));
    tracked_.erase(found);
}

NextHop RoutePublisher::next_hop(
    forwarding::DestinationId id, const net::IpAddress& address
) noexcept {
    const forwarding::Route* route = policy(address.family()).lookup(address);
    if (route == nullptr) return {};
    // All packets of a destination take one of several ways, destinations spread over them.
    return route->pick(static_cast<std::uint32_t>(forwarding::mix(id.value, 0)));
}

void RoutePublisher::refresh(forwarding::DestinationId id, Tracked& tracked) {
    const NextHop hop = next_hop(id, tracked.address);
    forwarding::DestinationSlot& slot = *tracked.slot;
    const bool unicast = hop.type == NextHop::Type::unicast;
    std::optional<kni::NeighbourKey> key;
    if (unicast) key = {hop.interface, hop.on_link ? tracked.address : hop.via};

    const auto before = tracked.pinned;
    const forwarding::AdjacencySlot* adjacency = slot.adjacency.load(std::memory_order_relaxed);
    if (key != before || (key && adjacency == nullptr)) {
        adjacency = key ? neighbours_.pin(*key) : nullptr;
        tracked.pinned = adjacency != nullptr ? key : std::nullopt;
    }
    std::uint32_t mtu = hop.mtu;
    if (const kni::Link* link = state_.link(hop.interface); mtu == 0 && link != nullptr)
        mtu = link->mtu;
    slot.set_link_mtu(unicast && mtu != 0 ? mtu : 1500);
    const bool local = hop.type == NextHop::Type::local;
    if (local) configuration_.serves_locally.store(true, std::memory_order_relaxed);
    slot.local.store(local, std::memory_order_relaxed);
    set_tunnel(tracked, unicast ? &hop : nullptr);
    slot.adjacency.store(adjacency, std::memory_order_release);
    if (before && tracked.pinned != before) neighbours_.unpin(*before);
}

void RoutePublisher::set_tunnel(Tracked& tracked, const NextHop* hop) {
    std::unique_ptr<forwarding::TunnelHeader> header;
    if (hop != nullptr && tracked.tunnels) {
        const auto source =
            hop->source.is_any()
                ? source_address(state_, hop->interface, hop->on_link ? tracked.address : hop->via)
                : std::optional{hop->source};
        if (source) {
            header = std::make_unique<forwarding::TunnelHeader>(
                forwarding::build_tunnel_header(tracked.address, *source, tracked.tunnel)
            );
        }
    }
    const auto* now = tracked.slot->tunnel.load(std::memory_order_relaxed);
    const bool same = now == nullptr || header == nullptr
                          ? now == header.get()
                          : now->tunnel == header->tunnel && now->outer == header->outer &&
                                now->length == header->length && now->bytes == header->bytes;
    if (same) return;
    const auto* old = tracked.slot->tunnel.exchange(header.release(), std::memory_order_acq_rel);
    reclaimer_.retire(std::unique_ptr<const forwarding::TunnelHeader>{old});
}

AddressType RoutePublisher::address_type(const net::IpAddress& address) const {
    const AddressType by_bits = classify(address);
    if (by_bits != AddressType::unicast && by_bits != AddressType::link_local) return by_bits;
    const kni::Route* route = find_route(state_, address, [](const kni::Route& other) {
        return other.table == RT_TABLE_LOCAL;
    });
    if (route == nullptr) return by_bits;
    if (route->type == RTN_LOCAL) return AddressType::local;
    return route->type == RTN_BROADCAST ? AddressType::broadcast : by_bits;
}

}  // namespace nlvs::daemon
