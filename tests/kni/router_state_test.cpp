#include "kni/router_state.hpp"

#include "tests/support/hex.hpp"

#include <string_view>

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::kni;
using net::Family;
using SourceCheck = RouterState::SourceCheck;
using test::hex;

namespace {

template <class Take>
void tell(RouterState& state, std::string_view text, Take&& take) {
    const auto bytes = hex(text);
    const auto message = netlink::MessageView::parse(bytes);
    BOOST_TEST_REQUIRE(message.has_value());
    take(state, *message);
}

/// RTM_NEWNETCONF of an interface of a family, with forwarding and rp_filter.
std::string settings(const char* family, const char* index, const char* forwarding, const char* check) {
    return std::string{"2c000000 5000 0000 00000000 00000000 "} + family + " 000000 0800 0100 " +
           index + " 0800 0200 " + forwarding + " 0800 0300 " + check;
}

/// NFT_MSG_NEWCHAIN of table "t", chain "c" on a hook.
std::string chain(const char* family, const char* hook) {
    return std::string{"38000000 030a 0000 00000000 00000000 "} + family +
           " 00 0000 0600 0100 7400 0000 0600 0300 6300 0000 1400 0480 0800 0100 " + hook +
           " 0800 0200 00000000";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(router_state_test)

BOOST_AUTO_TEST_CASE(an_interface_forwards_what_its_own_setting_says_in_ipv4) {
    RouterState state;
    tell(state, settings("02", "ffffffff", "01000000", "00000000"), take_settings);
    tell(state, settings("02", "05000000", "01000000", "00000000"), take_settings);
    tell(state, settings("02", "06000000", "00000000", "00000000"), take_settings);
    BOOST_TEST(state.forwards(Family::inet, 5));
    BOOST_TEST(!state.forwards(Family::inet, 6));
    BOOST_TEST(!state.forwards(Family::inet, 7));
    BOOST_TEST(!state.forwards(Family::inet6, 5));
}

BOOST_AUTO_TEST_CASE(one_setting_is_for_every_interface_in_ipv6) {
    RouterState state;
    tell(state, settings("0a", "05000000", "01000000", "00000000"), take_settings);
    BOOST_TEST(!state.forwards(Family::inet6, 5));
    tell(state, settings("0a", "ffffffff", "01000000", "00000000"), take_settings);
    BOOST_TEST(state.forwards(Family::inet6, 5));
    BOOST_TEST(state.forwards(Family::inet6, 6));
}

BOOST_AUTO_TEST_CASE(the_larger_number_of_rp_filter_counts) {
    RouterState state;
    tell(state, settings("02", "ffffffff", "01000000", "01000000"), take_settings);
    tell(state, settings("02", "05000000", "01000000", "02000000"), take_settings);
    tell(state, settings("02", "06000000", "01000000", "00000000"), take_settings);
    BOOST_TEST((state.source_check(5) == SourceCheck::loose));
    BOOST_TEST((state.source_check(6) == SourceCheck::strict));
}

BOOST_AUTO_TEST_CASE(chains_on_the_way_of_forwarded_packets_are_obstacles) {
    const struct {
        const char* name;
        const char* family;
        const char* hook;
        bool v4, v6;
    } rows[]{
        {"ip prerouting", "02", "00000000", true, false},
        {"ip input", "02", "00000001", false, false},
        {"ip forward", "02", "00000002", true, false},
        {"ip output", "02", "00000003", false, false},
        {"ip postrouting", "02", "00000004", true, false},
        {"ip6 forward", "0a", "00000002", false, true},
        {"inet forward", "01", "00000002", true, true},
        {"inet input", "01", "00000001", false, false},
        {"arp input", "03", "00000000", false, false},
        {"bridge forward", "07", "00000002", false, false},
        {"netdev ingress", "05", "00000000", true, true},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            RouterState state;
            tell(state, settings("02", "05000000", "01000000", "00000000"), take_settings);
            tell(state, chain(row.family, row.hook), take_chain);
            BOOST_TEST(state.obstacle_v4.empty() == !row.v4);
            BOOST_TEST(state.obstacle_v6.empty() == !row.v6);
            BOOST_TEST(state.forwards(Family::inet, 5) == !row.v4);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_chain_without_a_hook_and_the_daemons_own_are_none) {
    RouterState state;
    tell(state, "24000000 030a 0000 00000000 00000000 02 00 0000 0600 0100 7400 0000 0600 0300 6300 0000", take_chain);
    tell(
        state,
        R"(38000000 030a 0000 00000000 00000000 05 00 0000
           0e00 0100 6e6c76732d 6e69633000 0000      // table nlvs-nic0
           0600 0300 6300 0000
           0c00 0480 0800 0100 00000000)",
        take_chain
    );
    BOOST_TEST(state.obstacle_v4.empty());
    BOOST_TEST(state.obstacle_v6.empty());
}

BOOST_AUTO_TEST_CASE(a_table_of_the_old_iptables_is_an_obstacle_to_its_family) {
    RouterState state;
    take_old_tables(state, Family::inet, "");
    BOOST_TEST(state.obstacle_v4.empty());
    take_old_tables(state, Family::inet6, "filter\nnat\n");
    BOOST_TEST(state.obstacle_v6 == "iptables table filter");
    BOOST_TEST(state.obstacle_v4.empty());
}

BOOST_AUTO_TEST_CASE(what_is_cut_short_is_passed_over) {
    RouterState state;
    tell(state, "10000000 5000 0000 00000000 00000000", take_settings);
    tell(state, "10000000 030a 0000 00000000 00000000", take_chain);
    tell(state, "10000000 1300 0000 00000000 00000000", take_policy);
    BOOST_TEST((state == RouterState{}));
}

BOOST_AUTO_TEST_SUITE_END()
