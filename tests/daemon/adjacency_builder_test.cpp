#include "daemon/adjacency_builder.hpp"

#include <boost/test/unit_test.hpp>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

using namespace nlvs;
using namespace nlvs::daemon;
using forwarding::NextHop;
using net::operator""_ip;

namespace {

constexpr std::uint32_t shadow = 5;
constexpr std::uint32_t foreign = 9;

struct Fixture {
    kni::KernelState state;
    ShadowPorts ports{{3, shadow}, state};

    Fixture() {
        for (const std::uint32_t index : {3U, shadow, foreign}) {
            kni::Link link;
            link.index = index;
            link.up = true;
            link.mtu = 1400;
            link.mac = *net::parse_mac_address("02:00:00:00:00:aa");
            state.links[index].value = link;
        }
    }

    std::unique_ptr<const forwarding::Route> build(
        const std::vector<kni::Route>& routes, std::uint32_t table = RT_TABLE_MAIN
    ) {
        std::vector<kni::Marked<kni::Route>> marked;
        for (const auto& route : routes) marked.push_back({route});
        return build_route(state, marked, table, ports);
    }
};

kni::Neighbour neighbour(std::uint16_t state) {
    kni::Neighbour result;
    result.mac = *net::parse_mac_address("02:00:00:00:00:bb");
    result.state = state;
    return result;
}

kni::RouteHop hop(std::uint32_t interface, std::uint16_t weight = 1) {
    kni::RouteHop result;
    result.interface = interface;
    result.weight = weight;
    return result;
}

kni::Route route(std::uint32_t table, std::uint8_t type, std::vector<kni::RouteHop> hops = {}) {
    kni::Route result;
    result.prefix = {"10.0.0.0"_ip, 8};
    result.table = table;
    result.type = type;
    result.hops = std::move(hops);
    return result;
}

kni::Route via(const char* gateway, std::uint32_t interface = shadow) {
    auto result = route(RT_TABLE_MAIN, RTN_UNICAST, {hop(interface)});
    result.hops.front().has_gateway = true;
    result.hops.front().gateway = *net::parse_ip_address(gateway);
    return result;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(adjacency_builder_test, Fixture)

BOOST_AUTO_TEST_CASE(the_header_has_both_addresses_and_room_for_the_ether_type) {
    const auto adjacency =
        build_adjacency(*ports.way(shadow), neighbour(NUD_REACHABLE));
    BOOST_TEST(!adjacency->stale);
    BOOST_TEST(adjacency->port == 1);
    BOOST_TEST(adjacency->interface == shadow);
    BOOST_TEST(adjacency->mtu == 1400);
    BOOST_TEST(adjacency->l2_length == 14);
    BOOST_TEST(std::to_integer<int>(adjacency->l2[5]) == 0xBB);
    BOOST_TEST(std::to_integer<int>(adjacency->l2[11]) == 0xAA);
}

BOOST_AUTO_TEST_CASE(tags_stand_between_the_addresses_and_the_ether_type) {
    auto& outer = state.links[40].value;
    outer = state.links[shadow].value;
    outer.index = 40;
    outer.kind = "vlan";
    outer.lower = shadow;
    outer.vlan_protocol = 0x88A8;
    outer.vlan_id = 0x123;
    auto& inner = state.links[41].value;
    inner = outer;
    inner.index = 41;
    inner.lower = 40;
    inner.vlan_protocol = 0x8100;
    inner.vlan_id = 7;
    inner.mtu = 1392;
    const auto adjacency =
        build_adjacency(*ports.way(41), neighbour(NUD_STALE));
    BOOST_TEST(adjacency->stale);
    BOOST_TEST(adjacency->l2_length == 22);
    BOOST_TEST(adjacency->mtu == 1392);
    BOOST_TEST(adjacency->interface == 41U);
    const std::array<int, 8> tags{0x88, 0xA8, 0x01, 0x23, 0x81, 0x00, 0x00, 0x07};
    for (std::size_t i = 0; i < tags.size(); ++i) {
        BOOST_TEST(std::to_integer<int>(adjacency->l2[12 + i]) == tags[i]);
    }
}

BOOST_AUTO_TEST_CASE(route_types_become_what_a_worker_does) {
    const struct {
        const char* name;
        std::uint8_t type;
        NextHop::Type expected;
    } rows[]{
        {"local", RTN_LOCAL, NextHop::Type::local},
        {"broadcast", RTN_BROADCAST, NextHop::Type::local},
        {"anycast", RTN_ANYCAST, NextHop::Type::local},
        {"blackhole", RTN_BLACKHOLE, NextHop::Type::blackhole},
        {"unreachable", RTN_UNREACHABLE, NextHop::Type::unreachable},
        {"prohibit", RTN_PROHIBIT, NextHop::Type::prohibit},
        {"multicast", RTN_MULTICAST, NextHop::Type::punt},
        {"throw", RTN_THROW, NextHop::Type::next_rule},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto built = build({route(RT_TABLE_MAIN, row.type, {hop(shadow)})});
            BOOST_TEST_REQUIRE(built != nullptr);
            BOOST_TEST((built->single.type == row.expected));
        }
    }
}

BOOST_AUTO_TEST_CASE(without_a_gateway_the_neighbour_is_the_destination) {
    const auto built = build({route(RT_TABLE_MAIN, RTN_UNICAST, {hop(shadow)})});
    BOOST_TEST((built->single.type == NextHop::Type::unicast));
    BOOST_TEST(built->single.on_link);
    BOOST_TEST(built->single.interface == shadow);
}

BOOST_AUTO_TEST_CASE(a_gateway_and_the_routes_mtu_are_kept) {
    auto by_gateway = via("10.0.0.1");
    by_gateway.mtu = 1280;
    const auto built = build({by_gateway});
    BOOST_TEST(!built->single.on_link);
    BOOST_TEST((built->single.via == "10.0.0.1"_ip));
    BOOST_TEST(built->single.mtu == 1280);
}

BOOST_AUTO_TEST_CASE(what_leaves_through_another_interface_is_the_kernels) {
    BOOST_TEST((build({via("10.0.0.1", foreign)})->single.type == NextHop::Type::punt));
    auto encapsulated = via("10.0.0.1");
    encapsulated.hops.front().encapsulated = true;
    BOOST_TEST((build({encapsulated})->single.type == NextHop::Type::punt));
}

BOOST_AUTO_TEST_CASE(only_the_wanted_table_counts) {
    auto in_other = via("10.0.0.4");
    in_other.table = 100;
    BOOST_TEST((build({in_other, via("10.0.0.2")})->single.via == "10.0.0.2"_ip));
    BOOST_TEST((build({in_other, via("10.0.0.2")}, 100)->single.via == "10.0.0.4"_ip));
    BOOST_TEST((build({in_other}) == nullptr));
}

BOOST_AUTO_TEST_CASE(a_route_tells_its_length_and_its_preferred_source) {
    auto preferring = via("10.0.0.1");
    preferring.has_preferred_source = true;
    preferring.preferred_source = "10.9.9.9"_ip;
    const auto built = build({preferring});
    BOOST_TEST(built->prefix_length == 8);
    BOOST_TEST((built->single.source == "10.9.9.9"_ip));
    BOOST_TEST(build({via("10.0.0.1")})->single.source.is_any());
}

BOOST_AUTO_TEST_CASE(a_way_over_a_link_that_is_down_is_not_taken) {
    state.links[3].value.up = false;
    BOOST_TEST((build({via("10.0.0.1", 3), via("10.0.0.2")})->single.via == "10.0.0.2"_ip));
    const auto both = build({route(RT_TABLE_MAIN, RTN_UNICAST, {hop(3), hop(shadow)})});
    BOOST_TEST(both->hops.empty());
    BOOST_TEST(both->single.interface == shadow);
    BOOST_TEST((build({via("10.0.0.1", 3)}) == nullptr));
}

BOOST_AUTO_TEST_CASE(ways_are_repeated_by_weight_within_bounds) {
    const auto built = build({route(RT_TABLE_MAIN, RTN_UNICAST, {hop(3, 20), hop(shadow, 40)})});
    BOOST_TEST_REQUIRE(built->hops.size() == 3U);
    BOOST_TEST(std::ranges::count(built->hops, shadow, &NextHop::interface) == 2);
    const auto large = build({route(RT_TABLE_MAIN, RTN_UNICAST, {hop(3, 65535), hop(shadow, 1)})});
    BOOST_TEST(large->hops.size() <= 257U);
    BOOST_TEST(std::ranges::count(large->hops, shadow, &NextHop::interface) == 1);
}

BOOST_AUTO_TEST_CASE(a_next_hop_object_decides_over_the_routes_own_ways) {
    auto by_object = via("10.0.0.1");
    by_object.next_hop_id = 7;
    state.next_hops[7].value = {7, false, via("10.0.0.7").hops.front(), {}};
    BOOST_TEST((build({by_object})->single.via == "10.0.0.7"_ip));
    state.next_hops[7].value.blackhole = true;
    BOOST_TEST((build({by_object})->single.type == NextHop::Type::blackhole));
}

BOOST_AUTO_TEST_CASE(the_source_is_near_primary_and_global) {
    const auto add = [this](const net::IpAddress& address, std::uint8_t length, auto&& change) {
        kni::Address entry;
        entry.interface = shadow;
        entry.address = entry.peer = address;
        entry.length = length;
        change(entry);
        state.addresses[{shadow, address, length}].value = entry;
    };
    const auto nothing = [](kni::Address&) {};
    BOOST_TEST(!source_address(state, shadow, "10.1.0.9"_ip).has_value());
    add("172.16.0.1"_ip, 16, nothing);
    add("10.1.0.1"_ip, 24, nothing);
    add("10.1.0.8"_ip, 24, [](kni::Address& address) { address.secondary = true; });
    add("fe80::1"_ip, 64, [](kni::Address& address) { address.scope = RT_SCOPE_LINK; });
    add("fd00::1"_ip, 64, nothing);
    add("fd00::2"_ip, 64, [](kni::Address& address) { address.tentative = true; });
    BOOST_TEST((source_address(state, shadow, "10.1.0.9"_ip) == "10.1.0.1"_ip));
    BOOST_TEST((source_address(state, shadow, "172.16.9.9"_ip) == "172.16.0.1"_ip));
    BOOST_TEST((source_address(state, shadow, "fd00::2"_ip) == "fd00::1"_ip));
    BOOST_TEST(!source_address(state, foreign, "10.1.0.9"_ip).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
