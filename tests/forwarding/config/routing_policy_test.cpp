#include "forwarding/config/routing_policy.hpp"

#include <optional>
#include <random>

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::forwarding;
using net::operator""_ip;
using net::Prefix;
using Action = RoutingRule::Action;

namespace {

std::unique_ptr<const Route> route(
    std::uint32_t interface, unsigned length, NextHop::Type type = NextHop::Type::unicast
) {
    auto result = std::make_unique<Route>();
    result->single.type = type;
    result->single.interface = interface;
    result->prefix_length = static_cast<std::uint8_t>(length);
    return result;
}

RoutingRule to_table(std::uint32_t table) {
    RoutingRule rule;
    rule.table = table;
    return rule;
}

struct Fixture {
    QuiescentState quiescence;
    Reclaimer reclaimer{quiescence};
    RoutingPolicy policy{net::Family::inet};
    RouteQuery query;

    Fixture() { query.destination = "10.1.2.3"_ip; }

    void add(
        std::uint32_t table,
        const Prefix& prefix,
        std::uint32_t interface,
        NextHop::Type type = NextHop::Type::unicast
    ) {
        policy.insert(table, prefix, route(interface, prefix.length(), type), reclaimer);
    }

    void rules(std::vector<RoutingRule> rules) { policy.set_rules(std::move(rules), reclaimer); }

    /// Interface of the route found, 0 if none.
    std::uint32_t found() const {
        const Route* result = policy.lookup(query);
        return result == nullptr ? 0 : result->single.interface;
    }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(routing_policy_test, Fixture)

BOOST_AUTO_TEST_CASE(an_earlier_table_wins_whatever_the_length) {
    add(RoutingPolicy::main_table, {"10.1.2.0"_ip, 24}, 2);
    add(RoutingPolicy::default_table, {"10.1.2.3"_ip, 32}, 3);
    BOOST_TEST(found() == 2U);
    add(RoutingPolicy::local_table, {"10.0.0.0"_ip, 8}, 1, NextHop::Type::local);
    BOOST_TEST(found() == 1U);
    policy.remove(RoutingPolicy::local_table, {"10.0.0.0"_ip, 8}, reclaimer);
    policy.remove(RoutingPolicy::main_table, {"10.1.2.0"_ip, 24}, reclaimer);
    BOOST_TEST(found() == 3U);
    BOOST_TEST(!policy.selective());
}

BOOST_AUTO_TEST_CASE(a_table_may_come_before_or_after_its_rule) {
    add(100, {"10.0.0.0"_ip, 8}, 7);
    BOOST_TEST(found() == 0U);
    rules({to_table(200), to_table(100)});
    BOOST_TEST(found() == 7U);
    add(200, {"10.0.0.0"_ip, 8}, 8);
    BOOST_TEST(found() == 8U);
}

BOOST_AUTO_TEST_CASE(every_selector_selects) {
    add(100, {"0.0.0.0"_ip, 0}, 7);
    query.source = "192.0.2.1"_ip;
    query.input = 3;
    query.output = 4;
    query.mark = 0x1234;
    query.type_of_service = 0x10;
    query.protocol = 6;
    query.source_port = net::Port{std::uint16_t{40000}};
    query.destination_port = net::Port{std::uint16_t{80}};
    const struct {
        const char* name;
        void (*select)(RoutingRule&);
        bool matches;
    } rows[]{
        {"from", [](RoutingRule& r) { r.source = {"192.0.2.0"_ip, 24}; }, true},
        {"from elsewhere", [](RoutingRule& r) { r.source = {"192.0.3.0"_ip, 24}; }, false},
        {"to", [](RoutingRule& r) { r.destination = {"10.1.0.0"_ip, 16}; }, true},
        {"to elsewhere", [](RoutingRule& r) { r.destination = {"10.2.0.0"_ip, 16}; }, false},
        {"iif", [](RoutingRule& r) { r.input = 3; }, true},
        {"another iif", [](RoutingRule& r) { r.input = 5; }, false},
        {"oif", [](RoutingRule& r) { r.output = 4; }, true},
        {"another oif", [](RoutingRule& r) { r.output = 5; }, false},
        {"fwmark", [](RoutingRule& r) { r.mark = 0x1234, r.mark_mask = ~0U; }, true},
        {"masked fwmark", [](RoutingRule& r) { r.mark = 0x30, r.mark_mask = 0xF0; }, true},
        {"another fwmark", [](RoutingRule& r) { r.mark = 0x40, r.mark_mask = 0xF0; }, false},
        {"tos", [](RoutingRule& r) { r.type_of_service = 0x10; }, true},
        {"another tos", [](RoutingRule& r) { r.type_of_service = 0x08; }, false},
        {"ipproto", [](RoutingRule& r) { r.protocol = 6; }, true},
        {"another ipproto", [](RoutingRule& r) { r.protocol = 17; }, false},
        {"sport", [](RoutingRule& r) { r.source_ports = {30000, 50000}; }, true},
        {"another sport", [](RoutingRule& r) { r.source_ports = {1, 1024}; }, false},
        {"dport", [](RoutingRule& r) { r.destination_ports = {80, 80}; }, true},
        {"another dport", [](RoutingRule& r) { r.destination_ports = {81, 90}; }, false},
        {"not", [](RoutingRule& r) { r.inverted = true, r.input = 5; }, true},
        {"unknown", [](RoutingRule& r) { r.never = true; }, false},
        {"not unknown", [](RoutingRule& r) { r.never = true, r.inverted = true; }, true},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            RoutingRule rule = to_table(100);
            rule.selective = true;
            row.select(rule);
            rules({rule});
            BOOST_TEST(policy.selective());
            BOOST_TEST(found() == (row.matches ? 7U : 0U));
        }
    }
}

BOOST_AUTO_TEST_CASE(a_packet_without_a_source_matches_no_from) {
    add(100, {"0.0.0.0"_ip, 0}, 7);
    RoutingRule rule = to_table(100);
    rule.selective = true;
    rule.source = {"192.0.2.0"_ip, 24};
    rules({rule});
    BOOST_TEST(policy.lookup("10.1.2.3"_ip) == nullptr);
}

BOOST_AUTO_TEST_CASE(a_vrf_rule_takes_the_packets_own_table) {
    add(100, {"10.0.0.0"_ip, 8}, 7);
    add(101, {"10.0.0.0"_ip, 8}, 8);
    RoutingRule rule;
    rule.action = Action::vrf;
    rule.selective = true;
    rules({rule});
    BOOST_TEST(found() == 0U);
    query.vrf_table = 100;
    BOOST_TEST(found() == 7U);
    query.vrf_table = 101;
    BOOST_TEST(found() == 8U);
}

BOOST_AUTO_TEST_CASE(a_suppressed_default_route_leads_to_the_next_rule) {
    add(RoutingPolicy::main_table, {"0.0.0.0"_ip, 0}, 2);
    add(100, {"0.0.0.0"_ip, 0}, 7);
    RoutingRule first = to_table(RoutingPolicy::main_table);
    first.suppress_length = 0;
    rules({first, to_table(100)});
    BOOST_TEST(found() == 7U);
    add(RoutingPolicy::main_table, {"10.1.0.0"_ip, 16}, 3);
    BOOST_TEST(found() == 3U);
    // An error is found, too, and is not suppressed.
    policy.remove(RoutingPolicy::main_table, {"10.1.0.0"_ip, 16}, reclaimer);
    add(RoutingPolicy::main_table, {"0.0.0.0"_ip, 0}, 4, NextHop::Type::unreachable);
    BOOST_TEST(found() == 4U);
}

BOOST_AUTO_TEST_CASE(a_throw_route_leads_to_the_next_rule) {
    add(100, {"10.1.0.0"_ip, 16}, 1, NextHop::Type::next_rule);
    add(100, {"0.0.0.0"_ip, 0}, 2);
    add(RoutingPolicy::main_table, {"0.0.0.0"_ip, 0}, 3);
    rules({to_table(100), to_table(RoutingPolicy::main_table)});
    BOOST_TEST(found() == 3U);
    query.destination = "10.2.0.1"_ip;
    BOOST_TEST(found() == 2U);
}

BOOST_AUTO_TEST_CASE(rules_may_end_a_look_up_by_themselves_or_jump) {
    add(100, {"0.0.0.0"_ip, 0}, 7);
    const struct {
        Action action;
        NextHop::Type expected;
    } rows[]{
        {Action::blackhole, NextHop::Type::blackhole},
        {Action::unreachable, NextHop::Type::unreachable},
        {Action::prohibit, NextHop::Type::prohibit},
        {Action::none, NextHop::Type::unicast},
    };
    for (const auto& row : rows) {
        RoutingRule rule;
        rule.action = row.action;
        rules({rule, to_table(100)});
        BOOST_TEST((policy.lookup(query)->single.type == row.expected));
    }
    RoutingRule jump;
    jump.action = Action::jump;
    jump.target = 2;
    RoutingRule end;
    end.action = Action::blackhole;
    rules({jump, end, to_table(100)});
    BOOST_TEST(found() == 7U);
    jump.target = 0;
    rules({jump, to_table(100)});
    BOOST_TEST(found() == 7U);
    jump.target = 9;
    rules({jump, to_table(100)});
    BOOST_TEST(found() == 0U);
}

/// Against the definition: ask the rules in order, each table by comparing every prefix.
BOOST_AUTO_TEST_CASE(random_policies_equal_their_definition) {
    std::mt19937 random{20240607};
    const auto below = [&random](std::uint32_t bound) {
        return std::uniform_int_distribution<std::uint32_t>{0, bound - 1}(random);
    };
    for (int round = 0; round < 60; ++round) {
        RoutingPolicy subject{net::Family::inet};
        std::map<std::uint32_t, std::map<Prefix, std::uint32_t>> model;
        for (std::uint32_t i = 1; i <= 40; ++i) {
            const std::uint32_t table = 100 + below(4);
            const Prefix prefix{net::Ipv4Address{0x0A000000U | below(1U << 12) << 8}, 8 + below(20)};
            model[table][prefix] = i;
            subject.insert(table, prefix, route(i, prefix.length()), reclaimer);
        }
        std::vector<RoutingRule> list;
        for (int i = 0; i < 6; ++i) {
            RoutingRule rule = to_table(100 + below(5));
            rule.selective = below(2) == 0;
            if (rule.selective) rule.source = {net::Ipv4Address{below(4) << 30}, 2};
            if (below(3) == 0) rule.suppress_length = static_cast<std::int16_t>(below(16));
            list.push_back(rule);
        }
        subject.set_rules(list, reclaimer);
        for (int i = 0; i < 200; ++i) {
            RouteQuery asked;
            asked.destination = net::Ipv4Address{0x0A000000U | below(1U << 20)};
            asked.source = net::Ipv4Address{below(4) << 30 | 1};
            std::uint32_t expected = 0;
            for (const RoutingRule& rule : list) {
                if (rule.selective && !rule.source.contains(asked.source)) continue;
                std::optional<std::pair<unsigned, std::uint32_t>> best;
                for (const auto& [prefix, value] : model[rule.table]) {
                    if (prefix.contains(asked.destination) && (!best || prefix.length() > best->first))
                        best = {prefix.length(), value};
                }
                if (!best || static_cast<int>(best->first) <= rule.suppress_length) continue;
                expected = best->second;
                break;
            }
            const Route* result = subject.lookup(asked);
            BOOST_TEST((result == nullptr ? 0 : result->single.interface) == expected);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
