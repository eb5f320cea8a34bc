#pragma once

#include "kni/kernel_state.hpp"
#include "tests/support/property.hpp"

#include <array>
#include <string>
#include <vector>

#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

namespace nlvs::test {

/// Objects of the kernel out of a small world, so that they meet: interfaces stand on one another,
/// routes lead through any of them, names and next-hop objects come and go. Nothing here is
/// consistent, as little as announcements of which some were lost.
class RandomKernel {
public:
    static constexpr std::array<std::uint32_t, 2> shadows{5, 6};
    static constexpr std::array<std::uint32_t, 8> interfaces{1, 5, 6, 7, 8, 9, 10, 11};
    static constexpr std::uint32_t vrf = 11;
    static constexpr std::uint32_t vrf_table = 100;

    explicit RandomKernel(Random& random) : random_{random} {}

    static std::vector<net::IpAddress> addresses() {
        std::vector<net::IpAddress> result;
        for (const char* text :
             {"10.0.0.1", "10.0.0.2", "10.0.0.200", "10.1.0.1", "10.1.2.3", "192.0.2.1",
              "fd00::1", "fd00::2", "fd00:1::1", "2001:db8::1"}) {
            result.push_back(*net::parse_ip_address(text));
        }
        return result;
    }

    net::IpAddress address() { return random_.any_of(addresses()); }

    net::IpAddress address_of(net::Family family) {
        net::IpAddress result = address();
        while (result.family() != family) result = address();
        return result;
    }

    net::Prefix prefix() {
        static constexpr std::array<unsigned, 5> v4{0, 8, 16, 24, 32};
        static constexpr std::array<unsigned, 5> v6{0, 16, 32, 64, 128};
        const net::IpAddress base = address();
        return {base, random_.any_of(base.is_v4() ? v4 : v6)};
    }

    kni::Object object() {
        switch (random_.below(8)) {
            case 0:
            case 1: return link();
            case 2: return next_hop();
            case 3: return address_object();
            case 4: return neighbour();
            case 5: return rule();
            default: return route();
        }
    }

private:
    std::uint32_t interface() { return random_.any_of(interfaces); }

    net::MacAddress mac() {
        net::MacAddress result;
        result.bytes = {2, 0, 0, 0, 0, static_cast<std::uint8_t>(random_.below(4))};
        return random_.one_in(8) ? net::MacAddress{} : result;
    }

    kni::Link link() {
        kni::Link link;
        link.index = interface();
        link.name = (random_.one_in(2) ? "a" : "b") + std::to_string(link.index);
        link.mac = mac();
        link.mtu = random_.one_in(2) ? 1500 : 9000;
        link.up = !random_.one_in(3);
        link.promiscuous = random_.one_in(4);
        link.loopback = link.index == 1;
        if (random_.one_in(3)) link.master = vrf;
        if (link.index == vrf) {
            link.kind = "vrf";
            link.table = vrf_table;
        } else if (link.index > shadows.back()) {
            static const std::array<std::string, 4> kinds{"vlan", "vlan", "macvlan", "dummy"};
            link.kind = random_.any_of(kinds);
            link.lower = random_.one_in(6) ? 0 : interface();
            link.vlan_protocol = link.kind == "vlan" ? 0x8100 : 0;
            link.vlan_id = static_cast<std::uint16_t>(link.kind == "vlan" ? 1 + random_.below(2) : 0);
        }
        return link;
    }

    kni::RouteHop hop() {
        kni::RouteHop hop;
        hop.interface = interface();
        hop.weight = static_cast<std::uint16_t>(1 + random_.below(2));
        hop.encapsulated = random_.one_in(10);
        hop.has_gateway = !random_.one_in(3);
        if (hop.has_gateway) hop.gateway = address();
        return hop;
    }

    kni::NextHopObject next_hop() {
        kni::NextHopObject object;
        object.id = 1 + random_.below(4);
        object.blackhole = random_.one_in(6);
        object.hop = hop();
        for (unsigned n = random_.one_in(3) ? 2 : 0; n > 0; --n) {
            object.group.push_back({1 + random_.below(4), 1});
        }
        return object;
    }

    kni::Address address_object() {
        kni::Address result;
        result.interface = interface();
        result.address = result.peer = address();
        const unsigned bits = result.address.bits();
        result.length = static_cast<std::uint8_t>(random_.one_in(2) ? bits : bits * 3 / 4);
        result.secondary = random_.one_in(3);
        result.tentative = random_.one_in(5);
        result.scope = random_.one_in(5) ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
        return result;
    }

    kni::Neighbour neighbour() {
        static constexpr std::array<std::uint16_t, 5> states{
            NUD_REACHABLE, NUD_STALE, NUD_FAILED, NUD_PERMANENT, NUD_INCOMPLETE};
        kni::Neighbour result;
        result.interface = interface();
        result.address = address();
        result.mac = mac();
        result.state = random_.any_of(states);
        result.proxy = random_.one_in(8);
        result.managed = random_.one_in(2);
        return result;
    }

    kni::Route route() {
        static constexpr std::array<std::uint32_t, 4> tables{
            RT_TABLE_MAIN, RT_TABLE_MAIN, RT_TABLE_LOCAL, vrf_table};
        static constexpr std::array<std::uint8_t, 8> types{
            RTN_UNICAST, RTN_UNICAST, RTN_UNICAST, RTN_UNICAST,
            RTN_LOCAL,   RTN_THROW,   RTN_PROHIBIT, RTN_BLACKHOLE};
        kni::Route route;
        route.prefix = prefix();
        route.table = random_.any_of(tables);
        route.type = random_.any_of(types);
        route.priority = random_.below(2);
        route.type_of_service = random_.one_in(10) ? 4 : 0;
        route.mtu = static_cast<std::uint16_t>(random_.one_in(4) ? 1400 : 0);
        if (random_.one_in(4)) route.next_hop_id = 1 + random_.below(4);
        for (unsigned n = random_.below(3) + (route.next_hop_id == 0 ? 1 : 0); n > 0; --n) {
            route.hops.push_back(hop());
        }
        if (random_.one_in(4)) {
            route.has_preferred_source = true;
            route.preferred_source = address_of(route.prefix.family());
        }
        return route;
    }

    kni::Rule rule() {
        static constexpr std::array<std::uint8_t, 4> actions{
            FR_ACT_TO_TBL, FR_ACT_TO_TBL, FR_ACT_GOTO, FR_ACT_PROHIBIT};
        kni::Rule rule;
        rule.family = random_.one_in(2) ? net::Family::inet : net::Family::inet6;
        rule.priority = random_.below(4);
        rule.action = random_.any_of(actions);
        rule.table = random_.one_in(2) ? RT_TABLE_MAIN : vrf_table;
        rule.vrf = random_.one_in(6);
        rule.jump_to = random_.below(4);
        rule.selective = !random_.one_in(4);
        rule.inverted = random_.one_in(6);
        if (random_.one_in(2)) rule.input = "a" + std::to_string(interface());
        if (random_.one_in(4)) rule.output = "b" + std::to_string(interface());
        if (random_.one_in(3)) rule.source = {address_of(rule.family), 16};
        return rule;
    }

    Random& random_;
};

}  // namespace nlvs::test
