#include "daemon/route_publisher.hpp"

#include "tests/daemon/route_fixture.hpp"

using namespace nlvs;
using namespace nlvs::test;

BOOST_FIXTURE_TEST_SUITE(route_publisher_policy_test, RouteFixture)

BOOST_AUTO_TEST_CASE(what_stands_on_a_link_follows_it) {
    auto vlan = link(30, true);
    vlan.kind = "vlan";
    vlan.lower = dp0;
    vlan.vlan_protocol = 0x8100;
    vlan.vlan_id = 7;
    apply(Change::added, vlan);
    apply(Change::added, route({"10.0.0.0"_ip, 24}, nullptr, 30));
    track("10.0.0.7"_ip);
    auto server = neighbour("10.0.0.7"_ip, NUD_REACHABLE);
    server.interface = 30;
    apply(Change::added, server);
    BOOST_TEST_REQUIRE(adjacency() != nullptr);
    BOOST_TEST(adjacency()->l2_length == 18);
    apply(Change::present, link(dp0, false));
    BOOST_TEST(adjacency() == nullptr);
    apply(Change::present, link(dp0, true));
    BOOST_TEST_REQUIRE(adjacency() != nullptr);
    vlan.vlan_id = 8;
    apply(Change::present, vlan);
    BOOST_TEST(std::to_integer<int>(adjacency()->l2[15]) == 8);
    apply(Change::removed, vlan);
    BOOST_TEST(adjacency() == nullptr);
    BOOST_TEST(configuration->ingress.size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_rule_leads_to_its_table_as_long_as_it_is_there) {
    apply(Change::added, rule(0, RT_TABLE_LOCAL));
    apply(Change::added, rule(32766, RT_TABLE_MAIN));
    auto detour = route({"0.0.0.0"_ip, 0}, "192.0.2.9");
    detour.table = 100;
    apply(Change::added, detour);
    apply(Change::added, route({"10.0.0.0"_ip, 8}, "192.0.2.1"));
    track("10.0.0.7"_ip);
    BOOST_TEST(resolver.kept.contains("192.0.2.1"));
    const auto way = [this] { return configuration->routes_v4.lookup("10.1.2.3"_ip)->single.via; };
    BOOST_TEST((way() == "192.0.2.1"_ip));
    const auto before = generation();
    const auto to_detour = rule(77, 100);
    apply(Change::added, to_detour);
    BOOST_TEST((way() == "192.0.2.9"_ip));
    BOOST_TEST(generation() > before);
    apply(Change::added, neighbour("192.0.2.9"_ip, NUD_REACHABLE, 0x77));
    BOOST_TEST_REQUIRE(adjacency() != nullptr);
    BOOST_TEST(std::to_integer<int>(adjacency()->l2[5]) == 0x77);
    apply(Change::removed, to_detour);
    BOOST_TEST((way() == "192.0.2.1"_ip));
    BOOST_TEST(adjacency() == nullptr);
}

BOOST_AUTO_TEST_CASE(a_rule_follows_the_interface_it_names) {
    apply(Change::added, rule(0, RT_TABLE_LOCAL));
    auto by_input = rule(77, 100);
    by_input.selective = true;
    by_input.input = "dp30";
    apply(Change::added, by_input);
    auto detour = route({"0.0.0.0"_ip, 0}, "192.0.2.9");
    detour.table = 100;
    apply(Change::added, detour);
    forwarding::RouteQuery query;
    query.destination = "10.1.2.3"_ip;
    query.input = 30;
    BOOST_TEST(configuration->routes_v4.lookup(query) == nullptr);
    apply(Change::added, link(30, true));
    BOOST_TEST(configuration->routes_v4.lookup(query) != nullptr);
    query.input = dp0;
    BOOST_TEST(configuration->routes_v4.lookup(query) == nullptr);
    apply(Change::removed, link(30, true));
    query.input = 30;
    BOOST_TEST(configuration->routes_v4.lookup(query) == nullptr);
    BOOST_TEST(routes.foreign_rules() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
