#include "daemon/ingress_publisher.hpp"

#include "forwarding/packet/parsed.hpp"

#include <boost/test/unit_test.hpp>
#include <linux/if_bonding.h>

using namespace nlvs;
using namespace nlvs::daemon;
using forwarding::tag_code;

namespace {

constexpr std::uint32_t dp0 = 5;
constexpr std::uint32_t dp1 = 6;
constexpr std::uint32_t vmac = 20;

net::MacAddress mac_of(std::uint32_t interface) {
    return {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(interface)}};
}

struct Fixture {
    forwarding::QuiescentState quiescence;
    forwarding::Reclaimer reclaimer{quiescence};
    std::unique_ptr<forwarding::Configuration> configuration =
        std::make_unique<forwarding::Configuration>();
    kni::KernelState state;
    ShadowPorts ports{{dp0, dp1}, state};
    IngressPublisher ingress{*configuration, reclaimer, ports, state};
    std::vector<IngressPublisher::Addresses> told;

    Fixture() {
        ingress.on_change([this](forwarding::PortIndex, const auto& now) { told.push_back(now); });
        add(dp0);
    }

    kni::Link& add(std::uint32_t index, const char* kind = "", std::uint32_t lower = 0) {
        kni::Link& link = state.links[index].value;
        link.index = index;
        link.kind = kind;
        link.lower = lower;
        link.up = true;
        link.mac = mac_of(index);
        return link;
    }

    /// The interface that receives it, 0 for none.
    std::uint32_t receiver(
        const net::MacAddress& mac, std::array<std::uint16_t, 2> tags = {},
        forwarding::PortIndex port = 0
    ) const {
        const auto* found = configuration->ingress.find({port, forwarding::station_word(mac), tags});
        return found == nullptr ? 0 : found->interface;
    }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(ingress_publisher_test, Fixture)

BOOST_AUTO_TEST_CASE(a_virtual_address_is_received_as_long_as_its_macvlan_is_up) {
    ingress.refresh();
    BOOST_TEST(receiver(mac_of(dp0)) == dp0);
    BOOST_TEST(receiver(mac_of(vmac)) == 0U);
    add(vmac, "macvlan", dp0);
    ingress.refresh();
    BOOST_TEST(receiver(mac_of(vmac)) == vmac);
    BOOST_TEST((told.back() == IngressPublisher::Addresses{mac_of(dp0), mac_of(vmac)}));
    state.links[vmac].value.up = false;
    ingress.refresh();
    BOOST_TEST(receiver(mac_of(vmac)) == 0U);
    BOOST_TEST((told.back() == IngressPublisher::Addresses{mac_of(dp0)}));
}

BOOST_AUTO_TEST_CASE(a_vlan_receives_its_own_tags_only) {
    kni::Link& vlan = add(30, "vlan", dp0);
    vlan.mac = mac_of(dp0);
    vlan.vlan_protocol = 0x8100;
    vlan.vlan_id = 7;
    ingress.refresh();
    BOOST_TEST(receiver(mac_of(dp0)) == dp0);
    BOOST_TEST(receiver(mac_of(dp0), {tag_code(0x8100, 7)}) == 30U);
    BOOST_TEST(receiver(mac_of(dp0), {tag_code(0x8100, 8)}) == 0U);
    BOOST_TEST(receiver(mac_of(dp0), {tag_code(0x88A8, 7)}) == 0U);
    BOOST_TEST(told.size() == 1U);
    state.links.erase(30);
    ingress.refresh();
    BOOST_TEST(receiver(mac_of(dp0), {tag_code(0x8100, 7)}) == 0U);
}

BOOST_AUTO_TEST_CASE(a_member_of_a_vrf_is_seen_as_the_vrf) {
    add(40, "vrf").table = 100;
    state.links[40].value.mac = {};
    state.links[dp0].value.master = 40;
    ingress.refresh();
    const auto* found =
        configuration->ingress.find({0, forwarding::station_word(mac_of(dp0)), {}});
    BOOST_TEST_REQUIRE(found != nullptr);
    BOOST_TEST(found->interface == dp0);
    BOOST_TEST(found->input == 40U);
    BOOST_TEST(found->vrf_table == 100U);
}

BOOST_AUTO_TEST_CASE(an_interface_forwards_as_the_kernel_says) {
    kni::RouterState router;
    router.interfaces[dp0].forwards_v4 = true;
    router.interfaces[dp0].source_check = kni::RouterState::SourceCheck::loose;
    ingress.refresh();
    BOOST_TEST(!configuration->forwards_v4.load());
    ingress.route_by(router);
    BOOST_TEST(configuration->forwards_v4.load());
    BOOST_TEST(!configuration->forwards_v6.load());
    const auto node = [this] {
        return configuration->ingress.find({0, forwarding::station_word(mac_of(dp0)), {}});
    };
    BOOST_TEST(node()->forwards_v4);
    BOOST_TEST(!node()->forwards_v6);
    BOOST_TEST((node()->source_check == forwarding::SourceCheck::loose));
    router.obstacle_v4 = "a firewall";
    ingress.route_by(router);
    BOOST_TEST(!configuration->forwards_v4.load());
    BOOST_TEST(!node()->forwards_v4);
}

BOOST_AUTO_TEST_CASE(the_nic_is_told_only_what_is_news) {
    ingress.refresh();
    ingress.refresh();
    BOOST_TEST(told.size() == 1U);
    state.links[dp0].value.mac = mac_of(99);
    ingress.refresh();
    BOOST_TEST((told.back() == IngressPublisher::Addresses{mac_of(99)}));
    BOOST_TEST(receiver(mac_of(99)) == dp0);
    BOOST_TEST(receiver(mac_of(dp0)) == 0U);
}

BOOST_AUTO_TEST_CASE(a_shadow_that_is_down_receives_nothing_but_keeps_its_address) {
    ingress.refresh();
    state.links[dp0].value.up = false;
    ingress.refresh();
    BOOST_TEST(receiver(mac_of(dp0)) == 0U);
    BOOST_TEST(told.size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_bond_receives_on_every_member_and_members_do_not) {
    add(50, "bond").bond_mode = BOND_MODE_ACTIVEBACKUP;
    for (const std::uint32_t member : {dp0, dp1}) {
        kni::Link& link = add(member);
        link.master = 50;
        link.mac = mac_of(50);  // as the kernel sets it
        link.carrier = true;
        link.idle_member = member == dp1;
    }
    kni::Link& vlan = add(51, "vlan", 50);
    vlan.vlan_protocol = 0x8100;
    vlan.vlan_id = 7;
    ingress.refresh();
    for (forwarding::PortIndex port = 0; port < 2; ++port) {
        BOOST_TEST(receiver(mac_of(50), {}, port) == 50U);
        BOOST_TEST(receiver(mac_of(51), {tag_code(0x8100, 7), 0}, port) == 51U);
    }
    BOOST_TEST((told.back() == IngressPublisher::Addresses{mac_of(50), mac_of(51)}));
    state.links[dp0].value.master = 0;
    ingress.refresh();
    BOOST_TEST(receiver(mac_of(50), {}, 0) == dp0);
}

BOOST_AUTO_TEST_SUITE_END()
