#include "tests/daemon/route_fixture.hpp"

#include <netinet/in.h>

namespace nlvs::test {
namespace {

constexpr std::uint32_t device = 40;

kni::Link tunnel(const char* kind, const net::IpAddress& local, const net::IpAddress& remote) {
    kni::Link result = link(device, true, 1480);
    result.kind = kind;
    result.mac = {};
    result.tunnel.plain = true;
    result.tunnel.local = local;
    result.tunnel.remote = remote;
    return result;
}

/// The other end is behind 10.1.0.1, and 10.51.0.0/24 behind the tunnel.
struct Fixture : RouteFixture {
    Fixture() {
        apply(Change::added, route(net::Prefix{"192.0.2.0"_ip, 24}, "10.1.0.1"));
        apply(Change::added, neighbour("10.1.0.1"_ip, NUD_REACHABLE));
        apply(Change::added, tunnel("ipip", "192.0.2.1"_ip, "192.0.2.2"_ip));
        apply(Change::added, route(net::Prefix{"10.51.0.0"_ip, 24}, nullptr, device));
    }

    const forwarding::TunnelWay* way() const {
        return adjacency() == nullptr ? nullptr : adjacency()->tunnel.get();
    }

    const forwarding::TunnelIngress* receiver(const forwarding::TunnelKey& key) const {
        return configuration->tunnels.find(key);
    }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(tunnel_publisher_test, Fixture)

BOOST_AUTO_TEST_CASE(a_route_through_a_tunnel_leads_to_the_neighbour_before_the_other_end) {
    track("10.51.0.7"_ip);
    BOOST_TEST_REQUIRE(way() != nullptr);
    BOOST_TEST((way()->neighbour == "10.1.0.1"_ip));
    BOOST_TEST(way()->interface == dp0);
    BOOST_TEST_REQUIRE(way()->slot->node.load() != nullptr);
    BOOST_TEST(std::to_integer<int>(way()->slot->node.load()->l2[5]) == 9);
    BOOST_TEST(way()->header.length == 20);
    BOOST_TEST(adjacency()->mtu == 1480);
    BOOST_TEST(slot.route_mtu.load() == 1480U);
    BOOST_TEST(resolver.kept.count("10.1.0.1") == 1U);
    BOOST_TEST(resolver.kept.count("0.0.0.0") == 0U);
    BOOST_TEST(resolver.kept.count("10.51.0.7") == 0U);
}

BOOST_AUTO_TEST_CASE(the_way_follows_routes_and_the_device) {
    track("10.51.0.7"_ip);
    apply(Change::added, route(net::Prefix{"192.0.2.2"_ip, 32}, "10.1.0.2"));
    BOOST_TEST_REQUIRE(way() != nullptr);
    BOOST_TEST((way()->neighbour == "10.1.0.2"_ip));
    auto down = tunnel("ipip", "192.0.2.1"_ip, "192.0.2.2"_ip);
    down.up = false;
    apply(Change::added, down);
    BOOST_TEST(way() == nullptr);
    BOOST_TEST(configuration->tunnel_count.load() == 0U);
    apply(Change::added, tunnel("ipip", "192.0.2.1"_ip, "192.0.2.2"_ip));
    BOOST_TEST(way() != nullptr);
    apply(Change::removed, tunnel("ipip", "192.0.2.1"_ip, "192.0.2.2"_ip));
    BOOST_TEST(way() == nullptr);
    BOOST_TEST(resolver.kept.count("10.1.0.2") == 1U);  // the route's gateway
}

BOOST_AUTO_TEST_CASE(workers_learn_what_comes_out_of_it) {
    BOOST_TEST(configuration->tunnel_count.load() == 2U);
    for (const std::uint8_t protocol : {std::uint8_t{IPPROTO_IPIP}, std::uint8_t{IPPROTO_IPV6}}) {
        const auto* found = receiver({"192.0.2.1"_ip, "192.0.2.2"_ip, 0, protocol, false});
        BOOST_TEST_REQUIRE(found != nullptr);
        BOOST_TEST(found->interface == device);
    }
    auto gre = tunnel("gre", "0.0.0.0"_ip, "192.0.2.2"_ip);
    gre.tunnel.has_input_key = gre.tunnel.has_output_key = true;
    gre.tunnel.input_key = 7;
    gre.tunnel.output_key = 8;
    apply(Change::added, gre);
    BOOST_TEST(configuration->tunnel_count.load() == 1U);
    BOOST_TEST(receiver({"0.0.0.0"_ip, "192.0.2.2"_ip, 7, IPPROTO_GRE, true}) != nullptr);
}

BOOST_AUTO_TEST_CASE(a_device_with_more_to_it_is_the_kernels) {
    auto odd = tunnel("gre", "192.0.2.1"_ip, "192.0.2.2"_ip);
    odd.tunnel.plain = false;
    apply(Change::added, odd);
    track("10.51.0.7"_ip);
    BOOST_TEST(adjacency() == nullptr);
    BOOST_TEST(configuration->tunnel_count.load() == 0U);
    const auto refused = routes.refused();
    BOOST_TEST_REQUIRE(refused.size() == 1U);
    BOOST_TEST(refused[0].device == "dp40");
}

BOOST_AUTO_TEST_CASE(a_family_that_the_device_does_not_take_is_not_sent_through_it) {
    auto v6_only = tunnel("sit", "192.0.2.1"_ip, "192.0.2.2"_ip);
    v6_only.tunnel.inside = IPPROTO_IPV6;
    apply(Change::added, v6_only);
    apply(Change::replaced, route(net::Prefix{"10.51.0.0"_ip, 24}, nullptr, device));
    track("10.51.0.7"_ip);
    BOOST_TEST(adjacency() == nullptr);
}

BOOST_AUTO_TEST_CASE(a_bridge_over_a_shadow_interface_is_refused) {
    apply(Change::removed, tunnel("ipip", "192.0.2.1"_ip, "192.0.2.2"_ip));
    BOOST_TEST(routes.refused().empty());
    auto bridge = link(60, true);
    bridge.kind = "bridge";
    apply(Change::added, bridge);
    auto port = link(dp0, true);
    port.master = 60;
    apply(Change::added, port);
    const auto refused = routes.refused();
    BOOST_TEST_REQUIRE(refused.size() == 1U);
    BOOST_TEST(refused[0].device == "dp60");
    BOOST_TEST(refused[0].kind == "bridge");
    BOOST_TEST(refused[0].reason.find("dp5") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::test
