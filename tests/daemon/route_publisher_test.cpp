#include "daemon/route_publisher.hpp"

#include "tests/daemon/route_fixture.hpp"

using namespace nlvs;
using namespace nlvs::test;

BOOST_FIXTURE_TEST_SUITE(route_publisher_test, RouteFixture)

BOOST_AUTO_TEST_CASE(a_route_is_visible_as_soon_as_it_is_announced_and_gone_likewise) {
    const auto before = generation();
    apply(Change::added, route({"10.0.0.0"_ip, 8}, "192.0.2.1"));
    const auto* found = configuration->routes_v4.lookup("10.1.2.3"_ip);
    BOOST_TEST_REQUIRE(found != nullptr);
    BOOST_TEST((found->single.via == "192.0.2.1"_ip));
    BOOST_TEST(generation() > before);
    apply(Change::removed, route({"10.0.0.0"_ip, 8}, "192.0.2.1"));
    BOOST_TEST(configuration->routes_v4.lookup("10.1.2.3"_ip) == nullptr);
}

BOOST_AUTO_TEST_CASE(an_ipv6_route_goes_to_its_own_table) {
    apply(Change::added, route({"fd00::"_ip, 16}, "fe80::1"));
    BOOST_TEST(configuration->routes_v6.lookup("fd00::5"_ip) != nullptr);
    BOOST_TEST(configuration->routes_v4.size() == 0U);
}

BOOST_AUTO_TEST_CASE(an_on_link_destination_leads_to_its_own_neighbour) {
    apply(Change::added, route({"10.0.0.0"_ip, 24}));
    track("10.0.0.7"_ip);
    BOOST_TEST(resolver.kept.contains("10.0.0.7"));
    BOOST_TEST_REQUIRE(slot.adjacency.load() != nullptr);
    BOOST_TEST(adjacency() == nullptr);
    apply(Change::added, neighbour("10.0.0.7"_ip, NUD_REACHABLE));
    BOOST_TEST_REQUIRE(adjacency() != nullptr);
    BOOST_TEST(std::to_integer<int>(adjacency()->l2[5]) == 9);
    BOOST_TEST(!slot.local.load());
}

BOOST_AUTO_TEST_CASE(a_neighbour_that_fails_or_moves_changes_the_header_in_place) {
    apply(Change::added, route({"10.0.0.0"_ip, 24}));
    track("10.0.0.7"_ip);
    apply(Change::added, neighbour("10.0.0.7"_ip, NUD_REACHABLE));
    const auto* where = slot.adjacency.load();
    const auto before = generation();
    apply(Change::added, neighbour("10.0.0.7"_ip, NUD_REACHABLE, 0x44));
    BOOST_TEST(std::to_integer<int>(adjacency()->l2[5]) == 0x44);
    apply(Change::added, neighbour("10.0.0.7"_ip, NUD_FAILED));
    BOOST_TEST(adjacency() == nullptr);
    BOOST_TEST(slot.adjacency.load() == where);
    BOOST_TEST(generation() == before);
}

BOOST_AUTO_TEST_CASE(a_kept_neighbour_that_the_kernel_forgets_is_asked_for_again) {
    apply(Change::added, route({"10.0.0.0"_ip, 24}));
    track("10.0.0.7"_ip);
    apply(Change::added, neighbour("10.0.0.7"_ip, NUD_REACHABLE));
    apply(Change::removed, neighbour("10.0.0.7"_ip, NUD_REACHABLE));
    BOOST_TEST(adjacency() == nullptr);
    BOOST_TEST(resolver.kept["10.0.0.7"] == 2);
}

BOOST_AUTO_TEST_CASE(a_neighbour_announced_before_its_interface_counts_once_that_is_there) {
    constexpr std::uint32_t vlan = 20;
    kni::Neighbour early = neighbour("10.0.0.7"_ip, NUD_REACHABLE);
    early.interface = vlan;
    apply(Change::added, early);
    BOOST_TEST(configuration->neighbours.find({vlan, early.address}) == nullptr);
    kni::Link tagged = link(vlan, true);
    tagged.kind = "vlan";
    tagged.lower = dp0;
    tagged.vlan_protocol = 0x8100;
    tagged.vlan_id = 7;
    apply(Change::added, tagged);
    const auto* found = configuration->neighbours.find({vlan, early.address});
    BOOST_TEST_REQUIRE(found != nullptr);
    BOOST_TEST(found->slot->node.load() != nullptr);
    apply(Change::removed, tagged);
    BOOST_TEST(configuration->neighbours.find({vlan, early.address}) == nullptr);
}

BOOST_AUTO_TEST_CASE(a_kept_neighbour_is_asked_for_again_when_an_administrator_takes_it_out_of_care) {
    apply(Change::added, route({"10.0.0.0"_ip, 24}));
    track("10.0.0.7"_ip);
    kni::Neighbour managed = neighbour("10.0.0.7"_ip, NUD_REACHABLE);
    managed.managed = true;
    apply(Change::added, managed);
    BOOST_TEST(resolver.kept["10.0.0.7"] == 1);
    apply(Change::added, neighbour("10.0.0.7"_ip, NUD_STALE));
    BOOST_TEST(resolver.kept["10.0.0.7"] == 2);
    apply(Change::added, neighbour("10.0.0.7"_ip, NUD_PERMANENT));
    BOOST_TEST(!resolver.kept.contains("10.0.0.7"));
    apply(Change::added, neighbour("10.0.0.7"_ip, NUD_STALE));
    BOOST_TEST(resolver.kept["10.0.0.7"] == 1);
}

BOOST_AUTO_TEST_CASE(a_permanent_neighbour_is_left_alone) {
    apply(Change::added, neighbour("10.0.0.7"_ip, NUD_PERMANENT));
    apply(Change::added, route({"10.0.0.0"_ip, 24}));
    track("10.0.0.7"_ip);
    BOOST_TEST(resolver.kept.empty());
    BOOST_TEST(adjacency() != nullptr);
}

BOOST_AUTO_TEST_CASE(a_more_specific_route_moves_the_destination_and_its_removal_moves_it_back) {
    apply(Change::added, route({"10.0.0.0"_ip, 8}, "192.0.2.1"));
    track("10.1.0.7"_ip);
    BOOST_TEST(resolver.kept.contains("192.0.2.1"));
    const auto* before = slot.adjacency.load();
    apply(Change::added, route({"10.1.0.0"_ip, 16}, "192.0.2.2"));
    BOOST_TEST(slot.adjacency.load() != before);
    BOOST_TEST(resolver.kept.contains("192.0.2.2"));
    apply(Change::removed, route({"10.1.0.0"_ip, 16}, "192.0.2.2"));
    BOOST_TEST(slot.adjacency.load() == before);
    BOOST_TEST(!resolver.kept.contains("192.0.2.2"));
}

BOOST_AUTO_TEST_CASE(without_a_route_there_is_no_way) {
    track("10.0.0.7"_ip);
    BOOST_TEST(slot.adjacency.load() == nullptr);
    apply(Change::added, route({"10.0.0.0"_ip, 24}));
    BOOST_TEST(slot.adjacency.load() != nullptr);
    apply(Change::removed, route({"10.0.0.0"_ip, 24}));
    BOOST_TEST(slot.adjacency.load() == nullptr);
    BOOST_TEST(resolver.kept.empty());
}

BOOST_AUTO_TEST_CASE(a_destination_on_one_of_the_hosts_addresses_is_local) {
    track("10.0.0.1"_ip);
    apply(Change::added, local("10.0.0.1"_ip));
    BOOST_TEST(slot.local.load());
    BOOST_TEST(slot.adjacency.load() == nullptr);
    apply(Change::removed, local("10.0.0.1"_ip));
    BOOST_TEST(!slot.local.load());
}

BOOST_AUTO_TEST_CASE(what_the_host_sends_is_looked_at_once_a_destination_was_local) {
    track("10.0.0.1"_ip);
    BOOST_TEST(!configuration->serves_locally.load());
    apply(Change::added, local("10.0.0.1"_ip));
    BOOST_TEST(configuration->serves_locally.load());
    // Connections may outlive the address.
    apply(Change::removed, local("10.0.0.1"_ip));
    BOOST_TEST(configuration->serves_locally.load());
}

BOOST_AUTO_TEST_CASE(the_hosts_own_addresses_are_known_by_interface) {
    const auto own = [this](const char* towards) {
        const auto* addresses = configuration->own_addresses.current();
        const auto* found = addresses->find(dp0, *net::parse_ip_address(towards));
        return found != nullptr ? net::print(*found) : "";
    };
    const auto address = [](const char* text, std::uint8_t length, std::uint32_t interface = dp0) {
        kni::Address result;
        result.interface = interface;
        result.address = result.peer = *net::parse_ip_address(text);
        result.length = length;
        return result;
    };
    apply(Change::added, address("203.0.113.10", 32));
    BOOST_TEST(own("192.0.2.7") == "203.0.113.10");
    apply(Change::added, address("10.0.0.1", 24));
    apply(Change::added, address("10.0.1.1", 24));
    apply(Change::added, address("10.0.2.1", 24, other));
    apply(Change::added, address("2001:db8::1", 64));
    BOOST_TEST(own("192.0.2.7") == "10.0.0.1");
    BOOST_TEST(own("10.0.1.9") == "10.0.1.1");
    BOOST_TEST(own("10.0.2.9") == "10.0.0.1");
    BOOST_TEST(own("2001:db8:9::9") == "2001:db8::1");
    apply(Change::removed, address("10.0.0.1", 24));
    BOOST_TEST(own("192.0.2.7") == "10.0.1.1");
}

BOOST_AUTO_TEST_CASE(the_mtu_is_the_routes_else_the_links) {
    apply(Change::present, link(dp0, true, 1400));
    apply(Change::added, route({"10.0.0.0"_ip, 24}));
    track("10.0.0.7"_ip);
    BOOST_TEST(slot.route_mtu.load() == 1400U);
    apply(Change::present, link(dp0, true, 1300));
    BOOST_TEST(slot.route_mtu.load() == 1300U);
    auto narrow = route({"10.0.0.0"_ip, 24});
    narrow.mtu = 1280;
    apply(Change::replaced, narrow);
    BOOST_TEST(slot.route_mtu.load() == 1280U);
}

BOOST_AUTO_TEST_CASE(a_tunnel_has_its_outer_header_and_follows_the_source_address) {
    kni::Address address;
    address.interface = dp0;
    address.address = address.peer = "10.0.0.1"_ip;
    address.length = 24;
    apply(Change::added, address);
    apply(Change::added, route({"10.0.0.0"_ip, 24}));
    track("10.0.0.7"_ip, ForwardingMethod::tunnel);
    const auto* header = slot.tunnel.load();
    BOOST_TEST_REQUIRE(header != nullptr);
    BOOST_TEST(int{header->length} == 20);
    BOOST_TEST(std::to_integer<int>(header->bytes[15]) == 1);  // source 10.0.0.1
    BOOST_TEST(std::to_integer<int>(header->bytes[19]) == 7);  // destination 10.0.0.7
    auto preferred = route({"10.0.0.0"_ip, 24});
    preferred.has_preferred_source = true;
    preferred.preferred_source = "10.0.0.2"_ip;
    apply(Change::replaced, preferred);
    BOOST_TEST(std::to_integer<int>(slot.tunnel.load()->bytes[15]) == 2);
    // Connections that began in the tunnel stay in it.
    track("10.0.0.7"_ip, ForwardingMethod::direct_route);
    BOOST_TEST(slot.tunnel.load() != nullptr);
    routes.untrack(DestinationId{1});
    BOOST_TEST(slot.tunnel.load() == nullptr);
}

BOOST_AUTO_TEST_CASE(untracking_clears_the_slot_and_lets_the_neighbour_go) {
    apply(Change::added, route({"10.0.0.0"_ip, 24}));
    track("10.0.0.7"_ip);
    routes.untrack(DestinationId{1});
    routes.untrack(DestinationId{1});
    BOOST_TEST(slot.adjacency.load() == nullptr);
    BOOST_TEST(resolver.kept.empty());
    BOOST_TEST(routes.tracked() == 0U);
    BOOST_TEST((configuration->neighbours.find({dp0, "10.0.0.7"_ip}) == nullptr));
}

BOOST_AUTO_TEST_CASE(two_destinations_behind_one_gateway_share_its_slot) {
    DestinationSlot second;
    apply(Change::added, route({"10.0.0.0"_ip, 8}, "192.0.2.1"));
    track("10.0.0.7"_ip);
    routes.track(DestinationId{2}, second, "10.0.0.8"_ip, ForwardingMethod::masquerade, {});
    BOOST_TEST(second.adjacency.load() == slot.adjacency.load());
    routes.untrack(DestinationId{1});
    BOOST_TEST(second.adjacency.load() != nullptr);
    BOOST_TEST(resolver.kept.contains("192.0.2.1"));
    routes.untrack(DestinationId{2});
}

BOOST_AUTO_TEST_CASE(gateways_are_kept_as_long_as_a_route_has_them) {
    apply(Change::added, route({"10.0.0.0"_ip, 8}, "192.0.2.1"));
    apply(Change::added, route({"11.0.0.0"_ip, 8}, "192.0.2.1"));
    apply(Change::removed, route({"10.0.0.0"_ip, 8}, "192.0.2.1"));
    BOOST_TEST(resolver.kept.contains("192.0.2.1"));
    apply(Change::replaced, route({"11.0.0.0"_ip, 8}, "192.0.2.2"));
    BOOST_TEST(!resolver.kept.contains("192.0.2.1"));
    BOOST_TEST(resolver.kept.contains("192.0.2.2"));
}

BOOST_AUTO_TEST_CASE(a_port_follows_its_shadow_interface) {
    std::vector<std::uint32_t> told;
    routes.on_port_change([&](forwarding::PortIndex, const kni::Link& now) {
        told.push_back(now.mtu);
    });
    apply(Change::present, link(dp0, false, 1280));
    const auto& port = configuration->ports[0];
    BOOST_TEST(port.interface.load() == dp0);
    BOOST_TEST(port.mtu.load() == 1280);
    BOOST_TEST(!port.up.load());
    BOOST_TEST(port.mac.load() == 0x010000000002U);
    BOOST_TEST(told == std::vector<std::uint32_t>{1280});
    apply(Change::present, link(other, true, 9000));
    BOOST_TEST(told.size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_link_that_goes_down_takes_its_routes_and_brings_them_back) {
    apply(Change::added, route({"10.0.0.0"_ip, 24}));
    track("10.0.0.7"_ip);
    apply(Change::added, neighbour("10.0.0.7"_ip, NUD_REACHABLE));
    apply(Change::present, link(dp0, false));
    BOOST_TEST(configuration->routes_v4.lookup("10.0.0.7"_ip) == nullptr);
    BOOST_TEST(slot.adjacency.load() == nullptr);
    apply(Change::present, link(dp0, true));
    BOOST_TEST(adjacency() != nullptr);
}

BOOST_AUTO_TEST_CASE(neighbours_elsewhere_and_multicast_ones_are_not_published) {
    auto elsewhere = neighbour("10.0.0.7"_ip, NUD_REACHABLE);
    elsewhere.interface = other;
    apply(Change::added, elsewhere);
    apply(Change::added, neighbour("224.0.0.18"_ip, NUD_NOARP));
    apply(Change::added, neighbour("ff02::1"_ip, NUD_NOARP));
    BOOST_TEST((configuration->neighbours.find({other, "10.0.0.7"_ip}) == nullptr));
    BOOST_TEST((configuration->neighbours.find({dp0, "224.0.0.18"_ip}) == nullptr));
    BOOST_TEST((configuration->neighbours.find({dp0, "ff02::1"_ip}) == nullptr));
}

BOOST_AUTO_TEST_CASE(addresses_are_classified_as_the_kernel_does) {
    apply(Change::added, local("10.0.0.1"_ip));
    apply(Change::added, local("10.0.0.255"_ip, RTN_BROADCAST));
    apply(Change::added, local("fe80::1"_ip));
    apply(Change::added, route({"10.0.0.0"_ip, 24}));

    const struct {
        const char* address;
        AddressType expected;
    } rows[]{
        {"10.0.0.1", AddressType::local},
        {"10.0.0.255", AddressType::broadcast},
        {"10.0.0.7", AddressType::unicast},
        {"8.8.8.8", AddressType::unicast},
        {"0.0.0.0", AddressType::unspecified},
        {"255.255.255.255", AddressType::broadcast},
        {"224.0.0.1", AddressType::multicast},
        {"fe80::1", AddressType::local},
        {"fe80::2", AddressType::link_local},
        {"ff02::1", AddressType::multicast},
        {"fd00::1", AddressType::unicast},
        {"::", AddressType::unspecified},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.address) {
            BOOST_TEST((routes.address_type(*net::parse_ip_address(row.address)) == row.expected));
        }
    }
}

BOOST_AUTO_TEST_CASE(a_worker_that_waits_for_a_neighbour_gets_it_probed) {
    routes.want({dp0, "10.0.0.9"_ip});
    BOOST_TEST(resolver.probed == std::vector<std::string>{"10.0.0.9"});
}

BOOST_AUTO_TEST_SUITE_END()
