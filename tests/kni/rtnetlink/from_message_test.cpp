#include "kni/rtnetlink/from_message.hpp"

#include "tests/support/hex.hpp"

#include <random>

#include <boost/test/unit_test.hpp>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

using namespace nlvs;
using namespace nlvs::kni;
using net::operator""_ip;
using test::hex;

namespace {

std::expected<Event, Ignored> decode(std::string_view text) {
    const auto bytes = hex(text);
    const auto message = netlink::MessageView::parse(bytes);
    BOOST_TEST_REQUIRE(message.has_value());
    return event_from_message(*message);
}

template <class T>
T object(std::string_view text, Event::Change change) {
    const auto event = decode(text);
    BOOST_TEST_REQUIRE(event.has_value());
    BOOST_TEST((event->change == change));
    const auto* result = std::get_if<T>(&event->object);
    BOOST_TEST_REQUIRE(result != nullptr);
    return *result;
}

RouteHop hop(std::uint32_t interface, const net::IpAddress& gateway, std::uint16_t weight = 1) {
    RouteHop result;
    result.interface = interface;
    result.has_gateway = true;
    result.gateway = gateway;
    result.weight = weight;
    return result;
}

/// ip route add 10.20.0.0/16 mtu 1300 metric 5 src 10.9.9.9
///     nexthop via 10.1.0.2 weight 3 nexthop via 10.1.0.3
constexpr auto multipath_route = R"(
    6c000000 1800 0006 789e036b 9a5a0000  // NEWROUTE, CREATE|EXCL
    02 10 00 00 fe 03 00 01 00000000      // inet /16, main, boot, universe, unicast
    0800 0f00 fe000000                    // RTA_TABLE
    0800 0100 0a140000                    // RTA_DST
    0800 0600 05000000                    // RTA_PRIORITY
    0c00 0800 0800 0200 14050000          // RTA_METRICS: RTAX_MTU 1300
    0800 0700 0a090909                    // RTA_PREFSRC
    2400 0900                             // RTA_MULTIPATH
    1000 00 02 03000000 0800 0500 0a010002
    1000 00 00 03000000 0800 0500 0a010003)";

}  // namespace

BOOST_AUTO_TEST_SUITE(from_message_test)

BOOST_AUTO_TEST_CASE(an_ipv4_multipath_route_keeps_weights_metrics_and_source) {
    const auto route = object<Route>(multipath_route, Event::Change::added);
    Route expected;
    expected.prefix = {"10.20.0.0"_ip, 16};
    expected.table = RT_TABLE_MAIN;
    expected.priority = 5;
    expected.mtu = 1300;
    expected.type = RTN_UNICAST;
    expected.protocol = RTPROT_BOOT;
    expected.has_preferred_source = true;
    expected.preferred_source = "10.9.9.9"_ip;
    expected.hops = {hop(3, "10.1.0.2"_ip, 3), hop(3, "10.1.0.3"_ip)};
    BOOST_TEST((route == expected));
}

BOOST_AUTO_TEST_CASE(an_ipv4_route_may_have_an_ipv6_gateway) {
    const auto route = object<Route>(
        R"(4c000000 1800 0006 799e036b 9c5a0000
           02 10 00 00 fe 03 00 01 00000000
           0800 0f00 fe000000
           0800 0100 0a1e0000
           1600 1200 0a00 fe800000000000000000000000000005 0000  // RTA_VIA
           0800 0400 03000000)",
        Event::Change::added
    );
    BOOST_TEST((route.hops == std::vector{hop(3, "fe80::5"_ip)}));
}

BOOST_AUTO_TEST_CASE(a_blackhole_route_has_no_ways) {
    const auto route = object<Route>(
        R"(2c000000 1800 0006 799e036b 9e5a0000
           02 10 00 00 64 03 00 06 00000000
           0800 0f00 64000000
           0800 0100 0a280000)",
        Event::Change::added
    );
    BOOST_TEST(route.type == RTN_BLACKHOLE);
    BOOST_TEST(route.table == 100);
    BOOST_TEST(route.hops.empty());
}

BOOST_AUTO_TEST_CASE(the_removal_of_one_ipv6_way_names_only_that_way) {
    const auto route = object<Route>(
        R"(88000000 1900 0000 7a9e036b a95a0000
           0a 30 00 00 fe 03 00 01 00000000
           0800 0f00 fe000000
           1400 0100 fd550000000000000000000000000000
           0800 0600 00040000
           1400 0500 fd010000000000000000000000000002
           0800 0400 03000000
           2400 0c00 0000000000000000000000000000000000000000000000000000000000000000
           0500 1400 00000000)",
        Event::Change::removed
    );
    BOOST_TEST((route.prefix == net::Prefix{"fd55::"_ip, 48}));
    BOOST_TEST(route.priority == 1024);
    BOOST_TEST((route.hops == std::vector{hop(3, "fd01::2"_ip)}));
}

BOOST_AUTO_TEST_CASE(a_route_by_next_hop_object_names_it) {
    const auto route = object<Route>(
        R"(58000000 1800 0006 7b9e036b bb5a0000
           02 10 00 00 fe 03 00 01 00000000
           0800 0f00 fe000000
           0800 0100 0a320000
           0800 1e00 09000000
           2400 0900 1000 00 02 03000000 0800 0500 0a010002
                     1000 00 00 03000000 0800 0500 0a010003)",
        Event::Change::added
    );
    BOOST_TEST(route.next_hop_id == 9);
    BOOST_TEST(route.hops.size() == 2);
}

BOOST_AUTO_TEST_CASE(an_address_has_local_end_length_and_interface) {
    const auto address = object<Address>(
        R"(4c000000 1400 0000 779e036b 8f5a0000
           02 18 81 00 03000000                // secondary, permanent
           0800 0100 0a010007                  // IFA_ADDRESS
           0800 0200 0a010007                  // IFA_LOCAL
           0700 0300 613000 00
           0800 0800 81000000                  // IFA_FLAGS
           1400 0600 ffffffffffffffffd2d00700d2d00700)",
        Event::Change::added
    );
    Address expected;
    expected.interface = 3;
    expected.address = expected.peer = "10.1.0.7"_ip;
    expected.length = 24;
    expected.secondary = true;
    BOOST_TEST((address == expected));
}

BOOST_AUTO_TEST_CASE(a_neighbour_has_a_mac_address_and_a_state) {
    const auto neighbour = object<Neighbour>(
        R"(4c000000 1c00 0000 00000000 955a0000
           02 00 0000 03000000 8000 00 01
           0800 0100 0a010002
           0a00 0200 020000000002 0000
           0800 0400 00000000
           1400 0300 00000000000000000000000001000000)",
        Event::Change::added
    );
    BOOST_TEST(neighbour.interface == 3);
    BOOST_TEST((neighbour.address == "10.1.0.2"_ip));
    BOOST_TEST(net::print(neighbour.mac) == "02:00:00:00:00:02");
    BOOST_TEST(neighbour.state == NUD_PERMANENT);
    BOOST_TEST(neighbour.usable());
}

BOOST_AUTO_TEST_CASE(a_rule_with_a_source_is_selective) {
    const auto rule = object<Rule>(
        R"(44000000 2000 0000 7a9e036b ab5a0000
           02 00 08 00 64 00 00 01 00000000
           0800 0f00 64000000
           0800 0e00 ffffffff
           0500 1500 00 000000
           0800 0600 4d000000
           0800 0200 0a000000)",
        Event::Change::added
    );
    BOOST_TEST(rule.priority == 77);
    BOOST_TEST(rule.table == 100);
    BOOST_TEST(rule.selective);
    BOOST_TEST((rule.source == net::Prefix{"10.0.0.0"_ip, 8}));
    BOOST_TEST(rule.suppress_length == -1);
    BOOST_TEST(!rule.foreign);
}

BOOST_AUTO_TEST_CASE(a_rule_may_look_at_much) {
    const auto rule = object<Rule>(
        R"(74000000 2000 0000 7a9e036b ab5a0000
           02 10 00 10 00 00 00 01 02000000        // to /16, tos 0x10, table by attribute, inverted
           0800 0100 0a010000                      // FRA_DST
           0800 0300 64703000                      // FRA_IIFNAME dp0
           0800 0a00 34120000                      // FRA_FWMARK 0x1234
           0800 1000 ff0f0000                      // FRA_FWMASK
           0500 1600 06000000                      // FRA_IP_PROTO tcp
           0800 1700 e803 d007                     // FRA_SPORT_RANGE 1000-2000
           0800 1800 5000 5000                     // FRA_DPORT_RANGE 80
           0800 0e00 00000000                      // FRA_SUPPRESS_PREFIXLEN 0
           0800 0f00 e8030000                      // FRA_TABLE 1000
           0800 0d00 ffffffff                      // FRA_SUPPRESS_IFGROUP none
           0800 0600 4d000000)",
        Event::Change::added
    );
    BOOST_TEST((rule.destination == net::Prefix{"10.1.0.0"_ip, 16}));
    BOOST_TEST(rule.inverted);
    BOOST_TEST(rule.type_of_service == 0x10);
    BOOST_TEST(rule.input == "dp0");
    BOOST_TEST(rule.mark == 0x1234U);
    BOOST_TEST(rule.mark_mask == 0xFFFU);
    BOOST_TEST(rule.protocol == 6);
    BOOST_TEST(rule.source_ports.first == 1000);
    BOOST_TEST(rule.source_ports.last == 2000);
    BOOST_TEST(rule.destination_ports.first == 80);
    BOOST_TEST(rule.suppress_length == 0);
    BOOST_TEST(rule.table == 1000U);
    BOOST_TEST(!rule.foreign);
}

BOOST_AUTO_TEST_CASE(next_hop_objects_are_single_or_groups) {
    const auto single = object<NextHopObject>(
        R"(30000000 6800 0506 7a9e036b b15a0000
           02 fd 00 00 00000000
           0800 0100 07000000
           0800 0500 03000000
           0800 0600 0a010002)",
        Event::Change::added
    );
    BOOST_TEST(single.id == 7);
    BOOST_TEST((single.hop == hop(3, "10.1.0.2"_ip)));
    const auto group = object<NextHopObject>(
        R"(3c000000 6800 0506 7b9e036b b55a0000
           00 00 00 00 00000000
           0800 0100 09000000
           0600 0300 0000 0000
           1400 0200 07000000 02 00 0000 08000000 00 00 0000)",
        Event::Change::added
    );
    BOOST_TEST((group.group == std::vector<NextHopObject::Member>{{7, 3}, {8, 1}}));
}

BOOST_AUTO_TEST_CASE(what_is_not_ours_is_ignored_with_its_reason) {
    const struct {
        const char* name;
        const char* bytes;
        Ignored reason;
    } rows[]{
        {"a queueing discipline", "10000000 2400 0000 00000000 00000000", Ignored::type},
        {"a bridge port",
         "20000000 1000 0000 00000000 00000000 07 00 0000 02000000 00000000 00000000",
         Ignored::family},
        {"a route exception",
         "1c000000 1800 0000 00000000 00000000 02 20 00 00 fe 03 00 01 00020000",
         Ignored::cached},
        {"a route with half a header",
         "14000000 1800 0000 00000000 00000000 02200000",
         Ignored::malformed},
        {"a prefix longer than its family allows",
         "1c000000 1800 0000 00000000 00000000 02 21 00 00 fe 03 00 01 00000000",
         Ignored::malformed},
        {"a neighbour without an address",
         "1c000000 1c00 0000 00000000 00000000 02 00 0000 03000000 8000 00 01",
         Ignored::malformed},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto event = decode(row.bytes);
            BOOST_TEST_REQUIRE(!event.has_value());
            BOOST_TEST((event.error() == row.reason), name_of(event.error()));
        }
    }
}

BOOST_AUTO_TEST_CASE(damaged_messages_give_some_result) {
    const auto good = hex(multipath_route);
    std::mt19937 random{20261123};
    BOOST_TEST_MESSAGE("seed 20261123");
    for (int i = 0; i < 20'000; ++i) {
        auto bytes = good;
        for (unsigned n = random() % 4 + 1; n > 0; --n) {
            bytes[4 + random() % (bytes.size() - 4)] = static_cast<std::byte>(random());
        }
        bytes.resize(16 + random() % (bytes.size() - 15));
        net::store(bytes.data(), static_cast<std::uint32_t>(bytes.size()));
        const auto message = netlink::MessageView::parse(bytes);
        BOOST_TEST_REQUIRE(message.has_value());
        const auto event = event_from_message(*message);
        if (!event) BOOST_TEST_REQUIRE((event.error() < Ignored::count_));
    }
}

BOOST_AUTO_TEST_CASE(a_vlan_has_a_protocol_and_an_identifier) {
    const auto link = object<Link>(
        R"(58000000 1000 0000 00000000 00000000
           00 00 0100 14000000 43110000 00000000       // index 20, UP|BROADCAST|RUNNING|MULTICAST|PROMISC
           0a00 0300 6470302e 3700 0000                // IFLA_IFNAME dp0.7
           0800 0500 05000000                          // IFLA_LINK 5
           2200 1200                                   // IFLA_LINKINFO
             0900 0100 766c616e 00 000000              //   kind vlan
             1200 0280                                 //   data, nested
               0600 0500 88a8 0000                     //     IFLA_VLAN_PROTOCOL
               0600 0100 0700 0000)",
        Event::Change::added
    );
    BOOST_TEST(link.name == "dp0.7");
    BOOST_TEST(link.kind == "vlan");
    BOOST_TEST(link.lower == 5U);
    BOOST_TEST(link.vlan_protocol == 0x88A8);
    BOOST_TEST(link.vlan_id == 7);
    BOOST_TEST(link.promiscuous);
}

BOOST_AUTO_TEST_CASE(a_lower_device_of_another_namespace_is_none_of_ours) {
    const auto link = object<Link>(
        R"(3c000000 1000 0000 00000000 00000000
           00 00 0100 14000000 43100000 00000000
           0800 0500 05000000                          // IFLA_LINK 5
           0800 2500 00000000                          // IFLA_LINK_NETNSID 0
           0c00 1200 0800 0100 76726600)",
        Event::Change::added
    );
    BOOST_TEST(link.lower == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
