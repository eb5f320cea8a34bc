#include "compat/net/ip_address.hpp"
#include "daemon/mark_compiler.hpp"
#include "forwarding/packet/parse.hpp"
#include "tests/support/naive_rules.hpp"
#include "tests/support/packet_builder.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <random>

#include <boost/test/unit_test.hpp>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

namespace nlvs::daemon {
namespace {

using namespace nftables;
using Random = std::minstd_rand;
using test::Bytes;

int cases() {
    const char* scale = std::getenv("NLVS_CASES");
    return 400 * (scale != nullptr ? std::max(1, std::atoi(scale)) : 1);
}

unsigned below(Random& random, unsigned limit) {
    return static_cast<unsigned>(random() % limit);
}

Data word(std::uint32_t value) {
    const auto bytes = std::as_bytes(std::span{&value, 1});
    return {bytes.begin(), bytes.end()};
}

/// Values that random packets and random rules have in common now and then.
Data small_address(Random& random) {
    return {std::byte{10}, std::byte{0}, std::byte{0}, static_cast<std::byte>(below(random, 8))};
}

Data small_port(Random& random) {
    return {std::byte{0}, static_cast<std::byte>(below(random, 8))};
}

/// Makes rule sets that the kernel could have: every register is loaded before it is used.
class RandomRules {
public:
    explicit RandomRules(unsigned seed) : random_{seed} {}

    Ruleset make() {
        Table table{NFPROTO_IPV4, "t", false, {}, {}};
        table.sets = {address_set(), port_map(), block_map(), verdict_map()};
        for (unsigned i = 0; i < called; ++i) table.chains.push_back(chain(i));
        table.chains.push_back(chain(called));
        table.chains.back().hook = Hook{NF_INET_PRE_ROUTING, -150};
        table.chains.push_back(chain(called));
        table.chains.back().hook = Hook{NF_INET_LOCAL_IN, -1};
        table.chains.back().drops = below(random_, 4) == 0;
        Ruleset result;
        result.tables.push_back(std::move(table));
        return result;
    }

private:
    static constexpr unsigned called = 3;

    static std::string name(unsigned number) { return "c" + std::to_string(number); }

    Set address_set() {
        Set set{"addresses", NFT_SET_INTERVAL, 4, 0, false, {}, {}};
        Data at{std::byte{10}, std::byte{0}, std::byte{0}, std::byte{0}};
        for (unsigned i = 0; i < 6; i += 2) {
            for (const unsigned edge : {i, i + 1}) {
                at[3] = static_cast<std::byte>(edge);
                set.elements.push_back({at, {}, {}, {}, edge != i, false, false, {}});
            }
        }
        return set;
    }

    Set port_map() {
        Set set{"ports", NFT_SET_MAP, 2, 4, false, {}, {}};
        for (unsigned i = 0; i < 5; ++i) {
            const Data key{std::byte{0}, static_cast<std::byte>(i)};
            set.elements.push_back({key, {}, word(100 + i), {}, false, false, false, {}});
        }
        if (below(random_, 2) == 0)
            set.elements.push_back({{}, {}, word(99), {}, false, true, false, {}});
        return set;
    }

    /// Address and port, ranges that may overlap.
    Set block_map() {
        Set set{"blocks", NFT_SET_MAP | NFT_SET_INTERVAL | NFT_SET_CONCAT, 8, 4, false, {4, 2}, {}};
        for (unsigned i = 0; i < 4; ++i) {
            Data first = small_address(random_), last = first;
            last[3] =
                static_cast<std::byte>(std::to_integer<unsigned>(first[3]) + below(random_, 4));
            const Data port = small_port(random_);
            for (Data* part : {&first, &last})
                part->insert(part->end(), {port[0], port[1], {}, {}});
            last[5] =
                static_cast<std::byte>(std::to_integer<unsigned>(port[1]) + below(random_, 4));
            set.elements.push_back({first, last, word(200 + i), {}, false, false, false, {}});
        }
        return set;
    }

    Set verdict_map() {
        Set set{"verdicts", NFT_SET_MAP, 2, 0, true, {}, {}};
        for (unsigned i = 0; i < 4; ++i) {
            const Data key{std::byte{0}, static_cast<std::byte>(i * 2)};
            set.elements.push_back({key, {}, {}, verdict(0), false, false, false, {}});
        }
        return set;
    }

    /// To a chain with a lower number only: no loops.
    Verdict verdict(unsigned from) {
        using Kind = Verdict::Kind;
        if (from > 0 && below(random_, 2) == 0) {
            return {below(random_, 2) == 0 ? Kind::jump : Kind::go_to, name(below(random_, from))};
        }
        constexpr std::array kinds{
            Kind::accept, Kind::drop, Kind::proceed, Kind::next_rule, Kind::return_};
        return {kinds[below(random_, kinds.size())], {}};
    }

    Chain chain(unsigned number) {
        Chain result{name(number), "filter", {}, false, {}};
        const unsigned rules = 1 + below(random_, 6);
        for (unsigned i = 0; i < rules; ++i) result.rules.push_back(rule(number, i));
        return result;
    }

    Rule rule(unsigned chain, unsigned number) {
        Rule result{number, {}};
        const unsigned conditions = below(random_, 3);
        for (unsigned i = 0; i < conditions; ++i) add_condition(result.expressions);
        add_effect(result.expressions, chain);
        return result;
    }

    static LoadPayload source() { return {LoadPayload::Base::network, 12, 4, 0}; }

    static LoadPayload destination_port(Register to) {
        return {LoadPayload::Base::transport, 2, 2, to};
    }

    void add_condition(std::vector<Expression>& to) {
        switch (below(random_, 10)) {
            case 0:
                to.insert(
                    to.end(), {source(), Compare{below(random_, 6), 0, small_address(random_)}}
                );
                break;
            case 1:
                to.insert(
                    to.end(),
                    {destination_port(0),
                     CompareRange{
                         below(random_, 2) == 0,
                         0,
                         {std::byte{0}, std::byte{2}},
                         {std::byte{0}, std::byte{5}}}}
                );
                break;
            case 2:
                to.insert(
                    to.end(), {source(), Lookup{"addresses", 0, {}, false, below(random_, 2) == 0}}
                );
                break;
            case 3:
                to.insert(
                    to.end(),
                    {LoadMeta{NFT_META_MARK, 0},
                     MaskBits{0, 0, word(0xFF), word(0)},
                     Compare{below(random_, 2), 0, word(below(random_, 6))}}
                );
                break;
            case 4:
                to.emplace_back(MatchPorts{
                    true, below(random_, 2) == 0, below(random_, 2) == 0, {{1, 3}, {6, 6}}});
                break;
            case 5:
                to.emplace_back(MatchMark{0xF, below(random_, 6), below(random_, 2) == 0});
                break;
            case 6:
                to.insert(
                    to.end(), {LoadTracking{true, 4}, Compare{0, 4, word(below(random_, 3))}}
                );
                break;
            case 7:
                to.emplace_back(Inexpressible{"a rate"});
                break;
            case 8:
                to.insert(
                    to.end(),
                    {LoadMeta{NFT_META_L4PROTO, 8}, Compare{below(random_, 2), 8, {std::byte{6}}}}
                );
                break;
            default:
                to.emplace_back(Neutral{});
                break;
        }
    }

    void add_effect(std::vector<Expression>& to, unsigned chain) {
        switch (below(random_, 10)) {
            case 0:
            case 1:
                to.insert(to.end(), {LoadConstant{word(below(random_, 6)), 0}, SetMark{0}});
                break;
            case 2:
                to.emplace_back(ChangeMark{below(random_, 2) == 0 ? 0 : ~0xFU, below(random_, 6)});
                break;
            case 3:
                to.insert(
                    to.end(),
                    {destination_port(0), Lookup{"ports", 0, Register{4}, false, false}, SetMark{4}}
                );
                break;
            case 4:
                to.insert(
                    to.end(),
                    {source(),
                     destination_port(4),
                     Lookup{"blocks", 0, Register{0}, false, false},
                     SetMark{0}}
                );
                break;
            case 5:
                to.insert(to.end(), {destination_port(0), Lookup{"verdicts", 0, {}, true, false}});
                break;
            case 6:
                to.emplace_back(verdict(chain));
                break;
            case 7:
                to.insert(to.end(), {LoadMeta{NFT_META_MARK, 0}, SetTrackingMark{0}});
                break;
            case 8:
                to.emplace_back(Inexpressible{"another mark", true, true});
                break;
            default:
                to.emplace_back(HandToKernel{});
                break;
        }
    }

    Random random_;
};

bool has_unknowns(const Ruleset& ruleset) {
    for (const Chain& chain : ruleset.tables[0].chains) {
        for (const Rule& rule : chain.rules) {
            for (const Expression& expression : rule.expressions) {
                if (std::holds_alternative<Inexpressible>(expression)) return true;
            }
        }
    }
    return false;
}

Bytes random_packet(Random& random) {
    const auto address = [&] { return net::Ipv4Address{0x0A000000U + below(random, 8)}; };
    const auto port = [&] { return static_cast<std::uint16_t>(below(random, 8)); };
    const auto ip = test::ipv4(address(), address());
    if (below(random, 2) == 0) return (ip / test::udp(port(), port())).frame();
    return (ip / test::tcp(port(), port()).syn()).frame();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(mark_compiler_property_test)

BOOST_AUTO_TEST_CASE(a_program_says_what_the_rules_say_whatever_the_kernel_would_decide) {
    using Outcome = forwarding::MarkResult::Outcome;
    unsigned known = 0, kernel = 0, undecided = 0;
    for (int seed = 1; seed <= cases(); ++seed) {
        const Ruleset ruleset = RandomRules{static_cast<unsigned>(seed)}.make();
        const CompiledMarks marks = compile_marks(ruleset, {});
        if (marks.v4 == nullptr) continue;
        const bool certain = !has_unknowns(ruleset);
        Random random{static_cast<unsigned>(seed)};
        for (unsigned i = 0; i < 40; ++i) {
            const Bytes frame = random_packet(random);
            const auto parsed = forwarding::parse(frame, frame.size());
            const auto result = marks.v4->evaluate({frame, parsed, 1});
            known += result.outcome == Outcome::known;
            kernel += result.outcome == Outcome::kernel;
            undecided += result.outcome == Outcome::undecided;
            BOOST_TEST_CONTEXT("seed " << seed << ", packet " << i) {
                if (certain) BOOST_TEST_REQUIRE((result.outcome != Outcome::undecided));
                for (unsigned lot = 1; lot <= 8 && result.outcome != Outcome::undecided; ++lot) {
                    test::NaiveRules naive{ruleset.tables[0], frame, lot};
                    const bool to_kernel = naive.run() == test::NaiveRules::End::kernel;
                    BOOST_TEST_REQUIRE(to_kernel == (result.outcome == Outcome::kernel));
                    if (!to_kernel) BOOST_TEST_REQUIRE(naive.mark == result.mark);
                }
            }
        }
    }
    // The test is about all three.
    BOOST_TEST(known > 500U);
    BOOST_TEST(kernel > 500U);
    BOOST_TEST(undecided > 500U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::daemon
