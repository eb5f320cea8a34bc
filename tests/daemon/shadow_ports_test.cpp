#include "daemon/shadow_ports.hpp"

#include <algorithm>

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::daemon;

namespace {

constexpr std::uint32_t dp0 = 5;
constexpr std::uint32_t dp1 = 6;

struct Fixture {
    kni::KernelState state;
    ShadowPorts ports{{dp0, dp1}, state};

    Fixture() {
        add(dp0);
        add(dp1);
    }

    kni::Link& add(std::uint32_t index, const char* kind = "", std::uint32_t lower = 0) {
        kni::Link& link = state.links[index].value;
        link.index = index;
        link.kind = kind;
        link.lower = lower;
        link.up = true;
        link.mtu = 1500;
        link.mac.bytes = {2, 0, 0, 0, 0, static_cast<std::uint8_t>(index)};
        return link;
    }

    void add_vlan(std::uint32_t index, std::uint32_t lower, std::uint16_t type, std::uint16_t id) {
        kni::Link& link = add(index, "vlan", lower);
        link.vlan_protocol = type;
        link.vlan_id = id;
    }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(shadow_ports_test, Fixture)

BOOST_AUTO_TEST_CASE(a_shadow_interface_is_its_port_without_tags) {
    const auto way = ports.way(dp1);
    BOOST_TEST_REQUIRE(way.has_value());
    BOOST_TEST(way->port == 1);
    BOOST_TEST(way->up);
    BOOST_TEST(way->tag_count == 0);
    BOOST_TEST((ports.shadow(dp1) == forwarding::PortIndex{1}));
}

BOOST_AUTO_TEST_CASE(a_macvlan_leaves_by_the_port_below_with_its_own_address) {
    add(20, "macvlan", dp0);
    const auto way = ports.way(20);
    BOOST_TEST_REQUIRE(way.has_value());
    BOOST_TEST(way->port == 0);
    BOOST_TEST(way->interface == 20U);
    BOOST_TEST(way->mac.bytes[5] == 20);
    BOOST_TEST(!ports.shadow(20));
}

BOOST_AUTO_TEST_CASE(tags_stand_outermost_first) {
    add_vlan(20, dp0, 0x88A8, 100);
    add_vlan(21, 20, 0x8100, 7);
    add(22, "macvlan", 21);
    const auto way = ports.way(22);
    BOOST_TEST_REQUIRE(way.has_value());
    BOOST_TEST(way->tag_count == 2);
    BOOST_TEST((way->tags[0] == Way::Tag{0x88A8, 100}));
    BOOST_TEST((way->tags[1] == Way::Tag{0x8100, 7}));
}

BOOST_AUTO_TEST_CASE(a_third_tag_is_too_many) {
    add_vlan(20, dp0, 0x88A8, 100);
    add_vlan(21, 20, 0x8100, 7);
    add_vlan(22, 21, 0x8100, 8);
    BOOST_TEST(ports.has(21));
    BOOST_TEST(!ports.has(22));
}

BOOST_AUTO_TEST_CASE(a_device_is_down_with_what_it_stands_on) {
    add_vlan(20, dp0, 0x8100, 7);
    state.links[dp0].value.up = false;
    BOOST_TEST(!ports.way(20)->up);
    BOOST_TEST(ports.way(dp1)->up);
}

BOOST_AUTO_TEST_CASE(other_kinds_and_other_hosts_devices_have_no_way) {
    add(30, "bridge");
    add(31, "macvtap", dp0);
    add(32, "macvlan", 0);  // its lower device is in another namespace
    add(33, "veth", dp0);
    add(34, "macvlan", 34);
    add(35, "macvlan", 99);
    for (const std::uint32_t index : {30U, 31U, 32U, 33U, 34U, 35U, 77U}) {
        BOOST_TEST_CONTEXT(index) {
            BOOST_TEST(!ports.has(index));
        }
    }
}

BOOST_AUTO_TEST_CASE(what_stands_on_a_device_is_found_through_all_levels) {
    add_vlan(20, dp0, 0x8100, 7);
    add(21, "macvlan", 20);
    add_vlan(22, dp1, 0x8100, 7);
    auto found = ports.standing_on(dp0);
    std::ranges::sort(found);
    BOOST_TEST(found == (std::vector<std::uint32_t>{dp0, 20, 21}), boost::test_tools::per_element());
    BOOST_TEST(ports.standing_on(21) == std::vector<std::uint32_t>{21}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
