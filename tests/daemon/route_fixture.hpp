#pragma once

#include "daemon/route_publisher.hpp"
#include "kni/kernel_mirror.hpp"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/test/unit_test.hpp>
#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

namespace nlvs::test {

using namespace daemon;
using forwarding::DestinationId;
using forwarding::DestinationSlot;
using forwarding::NextHop;
using ipvs::ForwardingMethod;
using net::operator""_ip;
using Change = kni::Event::Change;

inline constexpr std::uint32_t dp0 = 5;
inline constexpr std::uint32_t other = 9;

/// Remembers what the publisher asks of it.
struct Resolver final : kni::NeighbourResolver {
    std::map<std::string, int> kept;
    std::vector<std::string> probed;

    void keep(const kni::NeighbourKey& key) override { ++kept[net::print(key.address)]; }

    void release(const kni::NeighbourKey& key) override { kept.erase(net::print(key.address)); }

    void forget(const kni::NeighbourKey& key) override { release(key); }

    void probe(const kni::NeighbourKey& key) override { probed.push_back(net::print(key.address)); }
};

inline kni::Link link(std::uint32_t index, bool up, std::uint32_t mtu = 1500) {
    kni::Link result;
    result.index = index;
    result.name = "dp" + std::to_string(index);
    result.up = up;
    result.mtu = mtu;
    result.mac = *net::parse_mac_address("02:00:00:00:00:01");
    return result;
}

inline kni::Route route(
    const net::Prefix& prefix, const char* gateway = nullptr, std::uint32_t interface = dp0
) {
    kni::Route result;
    result.prefix = prefix;
    result.table = RT_TABLE_MAIN;
    result.type = RTN_UNICAST;
    kni::RouteHop hop;
    hop.interface = interface;
    if (gateway != nullptr) {
        hop.has_gateway = true;
        hop.gateway = *net::parse_ip_address(gateway);
    }
    result.hops = {hop};
    return result;
}

inline kni::Route local(const net::IpAddress& address, std::uint8_t type = RTN_LOCAL) {
    auto result = route({address, address.bits()});
    result.table = RT_TABLE_LOCAL;
    result.type = type;
    return result;
}

inline kni::Neighbour neighbour(
    const net::IpAddress& address, std::uint16_t state, std::uint8_t last = 9
) {
    kni::Neighbour result;
    result.interface = dp0;
    result.address = address;
    result.state = state;
    result.mac.bytes = {2, 0, 0, 0, 0, last};
    return result;
}

inline kni::Rule rule(std::uint32_t priority, std::uint32_t table) {
    kni::Rule result;
    result.priority = priority;
    result.table = table;
    result.action = FR_ACT_TO_TBL;
    return result;
}

/// A publisher that follows a mirror, with one port whose shadow is dp0.
struct RouteFixture {
    forwarding::QuiescentState quiescence;
    forwarding::Reclaimer reclaimer{quiescence};
    std::unique_ptr<forwarding::Configuration> configuration =
        std::make_unique<forwarding::Configuration>();
    Resolver resolver;
    kni::KernelMirror mirror;
    RoutePublisher routes{*configuration, reclaimer, resolver, {dp0}, mirror.state()};
    DestinationSlot slot;

    RouteFixture() {
        mirror.observe(routes);
        apply(Change::added, link(dp0, true));
        apply(Change::added, link(other, true));
    }

    void apply(Change change, kni::Object object) { mirror.apply({change, std::move(object)}); }

    void track(
        const net::IpAddress& address, ForwardingMethod method = ForwardingMethod::masquerade
    ) {
        routes.track(DestinationId{1}, slot, address, method, {});
    }

    const forwarding::Adjacency* adjacency() const {
        const auto* found = slot.adjacency.load();
        return found == nullptr ? nullptr : found->node.load();
    }

    std::uint32_t generation() const { return configuration->routing_generation.load(); }
};

}  // namespace nlvs::test
