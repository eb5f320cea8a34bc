#include "daemon/tunnel_publisher.hpp"

#include "daemon/adjacency_builder.hpp"
#include "forwarding/transmit/tunnel.hpp"

#include <algorithm>
#include <memory>
#include <tuple>
#include <utility>

#include <netinet/in.h>

namespace nlvs::daemon {
namespace {

bool is_gre(const kni::Link& link) noexcept { return link.kind == "gre" || link.kind == "ip6gre"; }

std::vector<std::uint8_t> protocols_of(const kni::Link& link) {
    if (is_gre(link)) return {IPPROTO_GRE};
    if (link.tunnel.inside != 0) return {link.tunnel.inside};
    return {IPPROTO_IPIP, IPPROTO_IPV6};
}

forwarding::TunnelHeader build_header(const kni::Link& link, const net::IpAddress& source) {
    const kni::TunnelDevice& tunnel = link.tunnel;
    ipvs::Tunnel kind;
    kind.type = is_gre(link) ? ipvs::TunnelType::gre : ipvs::TunnelType::ipip;
    auto header = forwarding::build_tunnel_header(tunnel.remote, source, kind);
    if (tunnel.has_output_key) forwarding::add_gre_key(header, tunnel.output_key);
    header.time_to_live = tunnel.time_to_live;
    header.type_of_service = tunnel.type_of_service;
    header.inherits_service = tunnel.inherits_service;
    header.dont_fragment = tunnel.dont_fragment;
    return header;
}

}  // namespace

bool is_followed_tunnel(const kni::Link& link) noexcept { return link.tunnel.plain; }

bool takes(const kni::TunnelDevice& tunnel, net::Family family) noexcept {
    const bool v4 = family == net::Family::inet;
    return tunnel.inside == 0 || tunnel.inside == (v4 ? IPPROTO_IPIP : IPPROTO_IPV6);
}

bool TunnelPublisher::KeyOrder::operator()(
    const forwarding::TunnelKey& a, const forwarding::TunnelKey& b
) const noexcept {
    const auto order = [](const forwarding::TunnelKey& key) {
        return std::tie(key.remote, key.local, key.protocol, key.keyed, key.key);
    };
    return order(a) < order(b);
}

bool TunnelPublisher::concerns(const net::Prefix& prefix) const noexcept {
    return std::ranges::any_of(remotes_, [&prefix](const net::IpAddress& remote) {
        return remote.family() == prefix.family() && prefix.contains(remote);
    });
}

void TunnelPublisher::refresh() {
    Receivers receivers;
    remotes_.clear();
    std::map<std::uint32_t, std::optional<Way>> ways;
    for (const auto& [index, way] : ways_) ways[index] = std::nullopt;
    for (const auto& [index, entry] : state_.links) {
        const kni::Link& link = entry.value;
        if (!is_followed_tunnel(link)) continue;
        remotes_.push_back(link.tunnel.remote);
        if (!link.up) continue;
        ways[index] = find_way(link);
        const kni::TunnelDevice& tunnel = link.tunnel;
        for (const std::uint8_t protocol : protocols_of(link)) {
            receivers.emplace(
                forwarding::TunnelKey{
                    tunnel.local, tunnel.remote, tunnel.input_key, protocol, tunnel.has_input_key
                },
                receiver(link)
            );
        }
    }
    for (const auto& [index, way] : ways) publish_way(index, way);
    publish_receivers(std::move(receivers));
}

/// Linux: ip_tunnel.c ip_tunnel_xmit — the host's own packet, from the device's local address.
std::optional<TunnelPublisher::Way> TunnelPublisher::find_way(const kni::Link& link) const {
    const kni::TunnelDevice& tunnel = link.tunnel;
    const bool v4 = tunnel.remote.is_v4();
    const auto& policy = v4 ? configuration_.routes_v4 : configuration_.routes_v6;
    forwarding::RouteQuery query;
    query.destination = tunnel.remote;
    query.source = tunnel.local;
    const forwarding::Route* route = policy.lookup(query);
    if (route == nullptr) return std::nullopt;
    const forwarding::NextHop& hop = route->pick(0);
    const bool bound_elsewhere = link.lower != 0 && link.lower != hop.interface;
    if (hop.type != forwarding::NextHop::Type::unicast || !ports_.has(hop.interface) ||
        bound_elsewhere) {
        return std::nullopt;
    }
    Way way;
    way.next = {hop.interface, hop.on_link ? tunnel.remote : hop.via};
    std::optional<net::IpAddress> source = tunnel.local;
    if (source->is_any()) {
        source = hop.source.is_any() ? source_address(state_, hop.interface, way.next.address)
                                     : hop.source;
    }
    if (!source || source->family() != tunnel.remote.family()) return std::nullopt;
    way.header = build_header(link, *source);
    return way;
}

void TunnelPublisher::publish_way(std::uint32_t interface, const std::optional<Way>& way) {
    const auto found = ways_.find(interface);
    const bool was = found != ways_.end();
    if (was ? way && found->second == *way : !way) return;
    const auto before = was ? std::optional{found->second.next} : std::nullopt;
    if (way) {
        const forwarding::AdjacencySlot* slot = neighbours_.pin(way->next);
        ways_.insert_or_assign(interface, *way);
        std::optional<forwarding::TunnelWay> result;
        if (slot != nullptr) {
            result = forwarding::TunnelWay{
                way->header, slot, way->next.interface, way->next.address
            };
        }
        neighbours_.set_tunnel(interface, result);
    } else {
        ways_.erase(found);
        neighbours_.set_tunnel(interface, std::nullopt);
    }
    if (before) neighbours_.unpin(*before);
}

TunnelPublisher::Receiver TunnelPublisher::receiver(const kni::Link& link) const {
    Receiver result{link.index, link.index, 0};
    const kni::Link* master = link.master == 0 ? nullptr : state_.link(link.master);
    if (master != nullptr && master->kind == "vrf") {
        result.input = master->index;
        result.vrf_table = master->table;
    }
    return result;
}

void TunnelPublisher::publish_receivers(Receivers receivers) {
    for (const auto& [key, receiver] : receivers) {
        const auto found = receivers_.find(key);
        if (found != receivers_.end() && found->second == receiver) continue;
        auto node = std::make_unique<forwarding::TunnelIngress>();
        node->key = key;
        node->interface = receiver.interface;
        node->input = receiver.input;
        node->vrf_table = receiver.vrf_table;
        configuration_.tunnels.insert(std::move(node), reclaimer_);
    }
    for (const auto& [key, receiver] : receivers_) {
        if (!receivers.contains(key)) configuration_.tunnels.remove(key, reclaimer_);
    }
    receivers_ = std::move(receivers);
    configuration_.tunnel_count.store(
        static_cast<std::uint32_t>(receivers_.size()), std::memory_order_relaxed
    );
}

}  // namespace nlvs::daemon
