#include "daemon/adjacency_builder.hpp"

#include "compat/net/big_endian.hpp"
#include "daemon/tunnel_publisher.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

namespace nlvs::daemon {
namespace {

using forwarding::NextHop;

constexpr std::size_t most_hops = 256;

/// Route types that end a look-up by themselves.
std::optional<NextHop::Type> final_type(std::uint8_t type) {
    switch (type) {
        case RTN_LOCAL:
        case RTN_BROADCAST:
        case RTN_ANYCAST:
            return NextHop::Type::local;
        case RTN_BLACKHOLE:
            return NextHop::Type::blackhole;
        case RTN_UNREACHABLE:
            return NextHop::Type::unreachable;
        case RTN_PROHIBIT:
            return NextHop::Type::prohibit;
        case RTN_MULTICAST:
            return NextHop::Type::punt;
        case RTN_THROW:
            return NextHop::Type::next_rule;
        default:
            return std::nullopt;
    }
}

NextHop next_hop(
    const kni::KernelState& state, const kni::Route& route, const kni::RouteHop& hop,
    const ShadowPorts& ports
) {
    NextHop result;
    const kni::Link* link = state.link(hop.interface);
    const net::Family family = route.prefix.family();
    const bool tunnel =
        link != nullptr && is_followed_tunnel(*link) && takes(link->tunnel, family);
    const bool ours = (tunnel || ports.has(hop.interface)) && !hop.encapsulated;
    result.type = ours ? NextHop::Type::unicast : NextHop::Type::punt;
    result.on_link = !hop.has_gateway && !tunnel;
    result.mtu = route.mtu;
    result.interface = hop.interface;
    if (tunnel) {
        // Everything behind a tunnel device is at its other end.
        result.via = family == net::Family::inet ? net::IpAddress{net::Ipv4Address{}}
                                                 : net::IpAddress{net::Ipv6Address{}};
    } else if (hop.has_gateway) {
        result.via = hop.gateway;
    }
    if (route.has_preferred_source) result.source = route.preferred_source;
    return result;
}

/// The ways that the kernel would use now: dead ones are announced by their link alone.
std::vector<kni::RouteHop> live_hops(const kni::KernelState& state, const kni::Route& route) {
    auto hops = state.hops_of(route);
    std::erase_if(hops, [&state](const kni::RouteHop& hop) {
        const kni::Link* link = state.link(hop.interface);
        return link == nullptr || !link->up;
    });
    return hops;
}

/// As many entries for each way as its weight says, within bounds.
std::vector<NextHop> expand(
    const kni::KernelState& state, const kni::Route& route, const std::vector<kni::RouteHop>& hops, const ShadowPorts& ports
) {
    std::size_t total = 0;
    std::size_t divisor = 0;
    for (const auto& hop : hops) {
        total += hop.weight;
        divisor = std::gcd(divisor, std::size_t{hop.weight});
    }
    if (total / divisor > most_hops) divisor = (total + most_hops - 1) / most_hops;
    std::vector<NextHop> result;
    for (const auto& hop : hops) {
        const std::size_t share = std::max<std::size_t>(hop.weight / divisor, 1);
        result.insert(result.end(), share, next_hop(state, route, hop, ports));
    }
    return result;
}

/// Null when the route leads nowhere at the moment.
std::unique_ptr<const forwarding::Route> convert(
    const kni::KernelState& state, const kni::Route& route, const ShadowPorts& ports
) {
    auto result = std::make_unique<forwarding::Route>();
    result->prefix_length = static_cast<std::uint8_t>(route.prefix.length());
    if (const auto type = final_type(route.type)) {
        result->single.type = *type;
        if (!route.hops.empty()) result->single.interface = route.hops.front().interface;
        return result;
    }
    if (route.type != RTN_UNICAST) return nullptr;
    if (state.is_blackhole(route)) {
        result->single.type = NextHop::Type::blackhole;
        return result;
    }
    const auto hops = live_hops(state, route);
    if (hops.empty()) return nullptr;
    if (hops.size() == 1) {
        result->single = next_hop(state, route, hops.front(), ports);
    } else {
        result->hops = expand(state, route, hops, ports);
    }
    return result;
}

unsigned common_bits(const net::IpAddress& a, const net::IpAddress& b) {
    if (a.family() != b.family()) return 0;
    unsigned bits = 0;
    for (std::size_t i = 0; i < a.bits() / 8; ++i) {
        const unsigned difference = static_cast<unsigned>(a.bytes()[i] ^ b.bytes()[i]);
        if (difference != 0) return bits + static_cast<unsigned>(__builtin_clz(difference)) - 24;
        bits += 8;
    }
    return bits;
}

}  // namespace

std::unique_ptr<const forwarding::Adjacency> build_adjacency(
    const Way& way, const kni::Neighbour& neighbour
) {
    auto result = std::make_unique<forwarding::Adjacency>();
    result->port = way.port;
    result->mtu = static_cast<std::uint16_t>(std::min(way.mtu, 0xFFFFU));
    result->interface = way.interface;
    result->stale = (neighbour.state & NUD_STALE) != 0;
    result->spread = way.spread;
    if (way.spread != forwarding::Spread::none) {
        const std::size_t count = std::min(way.senders.size(), result->members.size());
        std::copy_n(way.senders.begin(), count, result->members.begin());
        result->member_count = static_cast<std::uint8_t>(count);
    } else if (way.senders.size() > 1) {
        // Linux: bond_main.c bond_eth_hash.
        const unsigned hash = neighbour.mac.bytes.back() ^ way.mac.bytes.back();
        result->port = way.senders[hash % way.senders.size()];
    }
    std::byte* end = result->l2.data();
    const auto append = [&end](const auto& value) {
        std::memcpy(end, &value, sizeof(value));
        end += sizeof(value);
    };
    append(neighbour.mac.bytes);
    append(way.mac.bytes);
    for (std::size_t i = 0; i < way.tag_count; ++i) {
        append(net::Be16{way.tags[i].ether_type});
        append(net::Be16{way.tags[i].id});
    }
    append(net::Be16{});
    result->l2_length = static_cast<std::uint8_t>(end - result->l2.data());
    return result;
}

std::unique_ptr<const forwarding::Route> build_route(
    const kni::KernelState& state,
    std::span<const kni::Marked<kni::Route>> routes,
    std::uint32_t table,
    const ShadowPorts& ports
) {
    for (const auto& entry : routes) {
        const kni::Route& route = entry.value;
        if (route.table != table || route.type_of_service != 0) continue;
        if (auto result = convert(state, route, ports)) return result;
    }
    return nullptr;
}

std::optional<net::IpAddress> source_address(
    const kni::KernelState& state, std::uint32_t interface, const net::IpAddress& towards
) {
    const kni::Address* best = nullptr;
    unsigned best_score = 0;
    for (const auto& [key, entry] : state.addresses) {
        const kni::Address& address = entry.value;
        if (address.interface != interface || address.address.family() != towards.family())
            continue;
        if (address.tentative || address.scope >= RT_SCOPE_HOST) continue;
        // Scope first, then primary before secondary, then nearness.
        const unsigned score = (address.scope == RT_SCOPE_UNIVERSE ? 1024U : 0U) +
                               (address.secondary ? 0U : 512U) +
                               common_bits(address.address, towards) + 1;
        if (score > best_score || (score == best_score && address.address < best->address)) {
            best = &address;
            best_score = score;
        }
    }
    if (best == nullptr) return std::nullopt;
    return best->address;
}

}  // namespace nlvs::daemon
