#include "daemon/rule_builder.hpp"

#include <boost/test/unit_test.hpp>
#include <linux/fib_rules.h>

using namespace nlvs;
using namespace nlvs::daemon;
using forwarding::RoutingRule;
using net::operator""_ip;

namespace {

struct Fixture {
    kni::KernelState state;

    Fixture() {
        auto& link = state.links[5].value;
        link.index = 5;
        link.name = "dp0";
    }

    kni::Rule& add(std::uint32_t priority, std::uint8_t action = FR_ACT_TO_TBL) {
        kni::Rule rule;
        rule.priority = priority;
        rule.action = action;
        state.rules.push_back({rule, 0});
        return state.rules.back().value;
    }

    std::vector<RoutingRule> build() const { return build_rules(state, net::Family::inet); }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(rule_builder_test, Fixture)

BOOST_AUTO_TEST_CASE(without_any_rule_the_kernels_own_hold) {
    const auto rules = build();
    BOOST_TEST_REQUIRE(rules.size() == 3U);
    BOOST_TEST(rules[0].table == 255U);
    BOOST_TEST(rules[1].table == 254U);
    BOOST_TEST(rules[2].table == 253U);
}

BOOST_AUTO_TEST_CASE(the_other_familys_rules_do_not_count) {
    add(1).family = net::Family::inet6;
    add(2).table = 100;
    BOOST_TEST_REQUIRE(build().size() == 1U);
    BOOST_TEST(build().front().table == 100U);
}

BOOST_AUTO_TEST_CASE(names_become_indices_and_unknown_names_match_nothing) {
    add(1).input = "dp0";
    add(2).output = "nowhere";
    const auto rules = build();
    BOOST_TEST(rules[0].input == 5U);
    BOOST_TEST(!rules[0].never);
    BOOST_TEST(rules[1].never);
}

BOOST_AUTO_TEST_CASE(a_rule_about_users_matches_nothing_and_is_counted) {
    add(1).foreign = true;
    BOOST_TEST(build().front().never);
    BOOST_TEST(foreign_rules(state) == 1U);
}

BOOST_AUTO_TEST_CASE(a_jump_leads_to_the_first_rule_of_its_priority) {
    add(1, FR_ACT_GOTO).jump_to = 3;
    add(2);
    add(3).table = 7;
    add(3).table = 8;
    add(4, FR_ACT_GOTO).jump_to = 99;
    const auto rules = build();
    BOOST_TEST(rules[0].target == 2U);
    BOOST_TEST(rules[4].target == 5U);
}

BOOST_AUTO_TEST_CASE(actions_keep_their_meaning) {
    add(1, FR_ACT_BLACKHOLE);
    add(2, FR_ACT_UNREACHABLE);
    add(3, FR_ACT_PROHIBIT);
    add(4, FR_ACT_NOP);
    add(5).vrf = true;
    const auto rules = build();
    using Action = RoutingRule::Action;
    const std::vector<Action> expected{
        Action::blackhole, Action::unreachable, Action::prohibit, Action::none, Action::vrf};
    for (std::size_t i = 0; i < expected.size(); ++i) BOOST_TEST((rules[i].action == expected[i]));
}

BOOST_AUTO_TEST_CASE(only_links_that_rules_name_matter_to_them) {
    add(1).input = "dp7";
    kni::Link named;
    named.name = "dp7";
    kni::Link other;
    other.name = "dp8";
    BOOST_TEST(rules_name(state, nullptr, &named));
    BOOST_TEST(rules_name(state, &named, nullptr));
    BOOST_TEST(rules_name(state, &named, &other));
    BOOST_TEST(!rules_name(state, nullptr, &other));
    BOOST_TEST(!rules_name(state, &named, &named));
}

BOOST_AUTO_TEST_SUITE_END()
