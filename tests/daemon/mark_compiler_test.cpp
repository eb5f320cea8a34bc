#include "daemon/mark_compiler.hpp"

#include "compat/net/ip_address.hpp"
#include "forwarding/packet/parse.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/packet_builder.hpp"
#include "tests/support/recorded_rules.hpp"

#include <fstream>
#include <iterator>
#include <random>

#include <boost/test/unit_test.hpp>

namespace nlvs::daemon {
namespace {

using forwarding::MarkResult;
using net::operator""_ip;
using namespace test;
using Outcome = MarkResult::Outcome;

const InterfaceNames names{{7, "dp0"}, {8, "dp1"}};

/// A packet of the family it is written in, put to the rules of that family.
MarkResult ask(const CompiledMarks& marks, const Stack& stack, std::uint32_t interface = 7) {
    const Bytes frame = stack.frame();
    const forwarding::Parsed parsed = forwarding::parse(frame, frame.size());
    const bool v4 = parsed.family == net::Family::inet;
    const auto& program = v4 ? marks.v4 : marks.v6;
    BOOST_TEST_REQUIRE((program != nullptr));
    return program->evaluate({frame, parsed, interface});
}

Stack to_tcp(const net::IpAddress& address, std::uint16_t port) {
    return ipv4("10.9.0.9"_ip, address) / tcp(40000, port).syn();
}

Stack to_udp(const net::IpAddress& address, std::uint16_t port, std::uint16_t from = 40000) {
    return ipv4("10.8.0.9"_ip, address) / udp(from, port);
}

struct Expected {
    const char* name;
    Stack packet;
    std::uint32_t mark;
    Outcome outcome = Outcome::known;
    std::uint32_t interface = 7;
};

void check(const std::string& recorded, const std::vector<Expected>& rows) {
    const auto ruleset = recorded_rules(recorded);
    const CompiledMarks marks = compile_marks(ruleset, names);
    for (const Expected& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const MarkResult result = ask(marks, row.packet, row.interface);
            BOOST_TEST((result.outcome == row.outcome));
            if (row.outcome == Outcome::known) BOOST_TEST(result.mark == row.mark);
        }
    }
}

std::vector<std::string> reasons(const std::string& recorded) {
    std::vector<std::string> result;
    for (const MarkRule& rule : compile_marks(recorded_rules(recorded), names).rules) {
        if (!rule.reason.empty()) result.push_back(rule.reason);
    }
    return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(mark_compiler_test)

BOOST_AUTO_TEST_CASE(keepaliveds_maps_of_addresses_and_ports_give_marks) {
    check(
        "keepalived",
        {
            {"first address", to_tcp("10.0.0.10"_ip, 80), 1000},
            {"in a range", to_tcp("10.0.0.12"_ip, 80), 1000},
            {"beyond the range", to_tcp("10.0.0.13"_ip, 80), 0},
            {"another port", to_tcp("10.0.0.10"_ip, 81), 0},
            {"the other map", to_udp("10.0.0.21"_ip, 443), 1001},
            {"the other protocol", to_tcp("10.0.0.21"_ip, 443), 0},
            {"IPv6", ipv6("fd00::99"_ip, "fd00::12"_ip) / tcp(4000, 80).syn(), 1002},
        }
    );
    BOOST_TEST(reasons("keepalived").empty());
}

BOOST_AUTO_TEST_CASE(marks_of_the_input_hook_come_after_routing) {
    const CompiledMarks marks = compile_marks(recorded_rules("keepalived"), names);
    const MarkResult result = ask(marks, to_tcp("10.0.0.10"_ip, 80));
    BOOST_TEST(result.mark == 1000U);
    BOOST_TEST(result.routing_mark == 0U);
}

BOOST_AUTO_TEST_CASE(rules_of_iptables_give_marks) {
    check(
        "iptables",
        {
            {"port", to_tcp("10.0.0.1"_ip, 80), 5},
            {"another port", to_tcp("10.0.0.1"_ip, 81), 0},
            {"multiport", to_tcp("10.0.0.2"_ip, 443), 6},
            {"range of multiport", to_tcp("10.0.0.2"_ip, 8005), 6},
            {"none of multiport", to_tcp("10.0.0.2"_ip, 444), 0},
            {"interface, network, source port", to_udp("10.0.3.7"_ip, 9, 1024), 0x10},
            {"source port too high", to_udp("10.0.3.7"_ip, 9, 1025), 0},
            {"another interface", to_udp("10.0.3.7"_ip, 9, 1024), 0, Outcome::known, 8},
            {"excluded source", ipv4("10.1.2.3"_ip, "10.0.3.7"_ip) / udp(5, 9), 0},
            {"interfaces by prefix", to_udp("10.0.4.1"_ip, 9), 0x100, Outcome::known, 8},
            {"SCTP", ipv4("10.8.0.9"_ip, "10.0.5.1"_ip) / sctp(4000, 80) / payload(16), 7},
            {"SCTP, another port",
             ipv4("10.8.0.9"_ip, "10.0.5.1"_ip) / sctp(4000, 81) / payload(16),
             0},
            {"new connection with SYN", to_tcp("10.0.6.1"_ip, 1), 8},
            {"without SYN", ipv4("10.8.0.9"_ip, "10.0.6.1"_ip) / tcp(4000, 1).ack(), 0},
            {"a rate", to_tcp("10.0.7.1"_ip, 1), 0, Outcome::undecided},
            {"own chain, range", to_tcp("10.0.8.9"_ip, 1), 10},
            {"own chain, others", to_tcp("10.0.8.10"_ip, 1), 11},
            {"IPv6", ipv6("fd00::99"_ip, "fd00::1"_ip) / tcp(4000, 80).syn(), 12},
        }
    );
    BOOST_TEST((reasons("iptables") == std::vector<std::string>{"limit"}));
}

BOOST_AUTO_TEST_CASE(native_rules_give_marks) {
    const auto after_syn = [](const net::IpAddress& address) {
        return ipv4("10.8.0.9"_ip, address) / tcp(4000, 1).ack();
    };
    check(
        "native",
        {
            {"interval set", ipv4("192.168.1.9"_ip, "10.99.0.1"_ip) / udp(1, 2), 10},
            {"beyond the interval", ipv4("192.168.1.10"_ip, "10.99.0.1"_ip) / udp(1, 2), 0},
            {"concatenation", to_tcp("10.0.0.2"_ip, 443), 11},
            {"last mark wins over the first", to_tcp("10.0.0.1"_ip, 443), 10},
            {"ranges of two fields", to_tcp("10.0.1.200"_ip, 90), 12},
            {"map", to_tcp("10.0.3.2"_ip, 443), 14},
            {"map of intervals", to_udp("10.0.6.255"_ip, 1), 16},
            {"between intervals", to_udp("10.0.5.0"_ip, 1), 0},
            {"anonymous set with a range", to_tcp("10.0.7.1"_ip, 8010), 17},
            {"verdict map jumps and comes back", to_tcp("10.0.8.1"_ip, 8080), 18},
            {"verdict map accepts", to_tcp("10.0.8.1"_ip, 8081), 10},
            {"verdict map drops", to_tcp("10.0.8.1"_ip, 8082), 0, Outcome::kernel},
            {"address range", to_udp("10.0.9.9"_ip, 1), 19},
            {"set of interfaces", to_udp("10.0.10.1"_ip, 1), 20, Outcome::known, 8},
            {"another interface", to_udp("10.0.10.1"_ip, 1), 0},
            {"interface by prefix", to_udp("10.0.11.1"_ip, 1), 21},
            {"either protocol", to_udp("10.99.0.1"_ip, 53), 22},
            {"IPv6 network", ipv6("fd01::1"_ip, "fd00::5:6"_ip) / udp(1, 2), 23},
            {"negated port", to_udp("10.0.12.1"_ip, 54), 24},
            {"or", to_udp("10.0.13.2"_ip, 1), 4},
            {"or, then and and xor", to_udp("10.0.13.1"_ip, 1), 0x30},
            {"a new connection", after_syn("10.0.14.1"_ip), 25},
            {"a rate", to_udp("10.0.15.1"_ip, 1), 0, Outcome::undecided},
            {"a random number with verdicts", to_udp("10.0.16.1"_ip, 1), 0, Outcome::undecided},
            {"the connection's mark", to_udp("10.0.17.1"_ip, 1), 27},
            {"port before address", to_udp("10.0.18.5"_ip, 60), 28},
            {"a set that packets change", to_udp("10.0.19.1"_ip, 1), 0, Outcome::undecided},
            {"a hash", to_udp("10.0.20.1"_ip, 1), 0, Outcome::undecided},
            {"reject", to_udp("10.0.21.1"_ip, 1), 0, Outcome::kernel},
            {"with counter and log", to_udp("10.0.22.1"_ip, 1), 30},
        }
    );
}

BOOST_AUTO_TEST_CASE(what_cannot_be_followed_has_a_reason) {
    const std::vector<std::string> expected{"limit", "numgen", "dynset", "hash"};
    BOOST_TEST((reasons("native") == expected));
}

BOOST_AUTO_TEST_CASE(rules_without_a_say_in_marks_are_left_out) {
    for (const MarkRule& rule : compile_marks(recorded_rules("native"), names).rules) {
        BOOST_TEST(rule.chain != "filtering");
    }
    BOOST_TEST((compile_marks({}, names).v4 == nullptr));
}

BOOST_AUTO_TEST_CASE(a_later_mark_makes_up_for_an_unknown_one) {
    // limit …; mark set 1    then    tcp: mark set 2
    using namespace nftables;
    Chain chain{"c", "filter", Hook{0, -150}, false, {}};
    const Data one{std::byte{1}, std::byte{0}, std::byte{0}, std::byte{0}};
    const Data two{std::byte{2}, std::byte{0}, std::byte{0}, std::byte{0}};
    chain.rules.push_back({1, {Inexpressible{"limit"}, LoadConstant{one, 0}, SetMark{0}}});
    chain.rules.push_back(
        {2, {LoadMeta{16, 0}, Compare{0, 0, {std::byte{6}}}, LoadConstant{two, 0}, SetMark{0}}}
    );
    Ruleset ruleset;
    ruleset.tables.push_back({2, "t", false, {chain}, {}});
    const CompiledMarks marks = compile_marks(ruleset, names);
    BOOST_TEST(ask(marks, to_tcp("10.0.0.1"_ip, 1)).mark == 2U);
    BOOST_TEST((ask(marks, to_udp("10.0.0.1"_ip, 1)).outcome == Outcome::undecided));
}

BOOST_AUTO_TEST_CASE(hooks_run_in_the_order_of_their_priorities) {
    using namespace nftables;
    const auto sets =
        [](const char* name, std::uint8_t mark, std::uint32_t hook, std::int32_t priority) {
            const Data value{std::byte{mark}, std::byte{0}, std::byte{0}, std::byte{0}};
            return Chain{
                name,
                "filter",
                Hook{hook, priority},
                false,
                {{1, {LoadConstant{value, 0}, SetMark{0}}}}};
        };
    const auto last = [](std::vector<Chain> chains) {
        Ruleset ruleset;
        ruleset.tables.push_back({2, "t", false, std::move(chains), {}});
        return ask(compile_marks(ruleset, names), to_tcp("10.0.0.1"_ip, 1));
    };
    BOOST_TEST(last({sets("a", 1, 0, -100), sets("b", 2, 0, -300)}).mark == 1U);
    BOOST_TEST(last({sets("a", 1, 1, -300), sets("b", 2, 0, 300)}).mark == 1U);
    BOOST_TEST_CONTEXT("of equal priorities the newest comes first") {
        BOOST_TEST(last({sets("a", 1, 0, 0), sets("b", 2, 0, 0)}).mark == 1U);
    }
    BOOST_TEST_CONTEXT("after IPVS is too late") {
        BOOST_TEST(last({sets("a", 1, 1, 100), sets("b", 2, 0, 0)}).mark == 2U);
    }
}

BOOST_AUTO_TEST_CASE(any_bytes_make_a_rule_set_that_compiles) {
    std::ifstream file{test::corpus() / "nftables/native", std::ios::binary};
    std::vector<char> content{std::istreambuf_iterator<char>{file}, {}};
    std::minstd_rand random{1};
    for (unsigned round = 0; round < 300; ++round) {
        std::vector<char> damaged = content;
        for (unsigned i = 0; i < 20; ++i)
            damaged[random() % damaged.size()] = static_cast<char>(random());
        netlink::Bytes rest = std::as_bytes(std::span{damaged});
        nftables::Ruleset ruleset;
        while (const auto message = netlink::take_message(rest))
            nftables::add_object(ruleset, *message);
        const CompiledMarks marks = compile_marks(ruleset, names);
        if (marks.v4 != nullptr) ask(marks, to_tcp("10.0.8.1"_ip, 8080));
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::daemon
