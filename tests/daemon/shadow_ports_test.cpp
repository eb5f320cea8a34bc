#include "daemon/shadow_ports.hpp"

#include <algorithm>

#include <boost/test/unit_test.hpp>
#include <linux/if_bonding.h>

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

BOOST_AUTO_TEST_CASE(a_bond_sends_by_the_members_that_the_kernel_lets_send) {
    kni::Link& bond = add(50, "bond");
    bond.bond_mode = BOND_MODE_8023AD;
    bond.bond_hash_policy = BOND_XMIT_POLICY_LAYER34;
    add_vlan(51, 50, 0x8100, 7);
    BOOST_TEST(!ports.has(50));
    for (const std::uint32_t member : {dp0, dp1}) {
        state.links[member].value.master = 50;
        state.links[member].value.carrier = true;
        BOOST_TEST(ports.is_member(state.links[member].value));
    }
    for (const std::uint32_t index : {50U, 51U}) {
        const auto way = ports.way(index);
        BOOST_TEST_REQUIRE(way.has_value());
        BOOST_TEST(way->up);
        BOOST_TEST((way->receivers == Way::Ports{0, 1}));
        BOOST_TEST((way->senders == Way::Ports{0, 1}));
        BOOST_TEST((way->spread == forwarding::Spread::flow));
        BOOST_TEST(way->tag_count == index - 50);
    }
    state.links[dp0].value.idle_member = true;
    BOOST_TEST(ports.way(51)->port == 1);
    BOOST_TEST((ports.way(51)->spread == forwarding::Spread::none));
    BOOST_TEST((ports.way(51)->receivers == Way::Ports{0, 1}));
    state.links[dp1].value.carrier = false;
    BOOST_TEST(!ports.way(51)->up);
    BOOST_TEST(ports.way(51).has_value());
}

BOOST_AUTO_TEST_CASE(the_mode_and_policy_of_a_bond_say_how_it_spreads) {
    kni::Link& bond = add(50, "bond");
    for (const std::uint32_t member : {dp0, dp1}) {
        state.links[member].value.master = 50;
        state.links[member].value.carrier = true;
    }
    using forwarding::Spread;
    const struct {
        int mode, policy;
        std::optional<Spread> spread;
    } rows[] = {
        {BOND_MODE_ROUNDROBIN, BOND_XMIT_POLICY_LAYER2, Spread::turn},
        {BOND_MODE_XOR, BOND_XMIT_POLICY_LAYER2, Spread::none},
        {BOND_MODE_XOR, BOND_XMIT_POLICY_LAYER23, Spread::addresses},
        {BOND_MODE_8023AD, BOND_XMIT_POLICY_ENCAP34, Spread::flow},
        {BOND_MODE_BROADCAST, 0, {}},
        {BOND_MODE_TLB, 0, {}},
        {BOND_MODE_ALB, 0, {}},
    };
    for (const auto& row : rows) {
        bond.bond_mode = static_cast<std::uint8_t>(row.mode);
        bond.bond_hash_policy = static_cast<std::uint8_t>(row.policy);
        const auto way = ports.way(50);
        BOOST_TEST(way.has_value() == row.spread.has_value());
        if (way && row.spread) BOOST_TEST((way->spread == *row.spread));
    }
}

BOOST_AUTO_TEST_CASE(what_stands_on_a_bond_stands_on_its_members) {
    add(50, "bond").bond_mode = BOND_MODE_ACTIVEBACKUP;
    add_vlan(51, 50, 0x8100, 7);
    add_vlan(52, dp1, 0x8100, 7);
    state.links[dp0].value.master = 50;
    auto found = ports.standing_on(dp0);
    std::ranges::sort(found);
    BOOST_TEST(found == (std::vector<std::uint32_t>{dp0, 50, 51}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
