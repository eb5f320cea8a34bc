#include "compat/netlink/policy.hpp"

#include "tests/support/hex.hpp"

#include <string>

#include <boost/test/unit_test.hpp>

namespace {

using namespace nlvs;
using netlink::AttributeRule;
using netlink::Kind;
using netlink::Malformed;
using test::hex;

constexpr netlink::Policy<4> policy{
    {1, Kind::u16},
    {2, Kind::string, 3},
    {3, Kind::binary, 8},
};
using Attributes = netlink::Attributes<4>;

std::string outcome(const std::optional<Malformed>& malformed) {
    if (!malformed) return "ok";
    return *malformed == Malformed::invalid ? "EINVAL" : "ERANGE";
}

BOOST_AUTO_TEST_SUITE(policy_table)

// Linux: lib/nlattr.c validate_nla.
BOOST_AUTO_TEST_CASE(lengths_are_judged_as_linux_does) {
    const struct {
        const char* name;
        AttributeRule rule;
        const char* payload;
        const char* expected;
    } rows[]{
        {"u8", {1, Kind::u8}, "01", "ok"},
        {"u8 empty", {1, Kind::u8}, "", "ERANGE"},
        {"u16", {1, Kind::u16}, "0100", "ok"},
        {"u16 longer", {1, Kind::u16}, "01000000", "ok"},
        {"u16 short", {1, Kind::u16}, "01", "ERANGE"},
        {"u32", {1, Kind::u32}, "01000000", "ok"},
        {"u32 longer", {1, Kind::u32}, "0100000000000000", "ok"},
        {"u32 short", {1, Kind::u32}, "010000", "ERANGE"},
        {"string", {1, Kind::string, 3}, "616200", "ok"},
        {"string at its limit", {1, Kind::string, 3}, "61626300", "ok"},
        {"string empty text", {1, Kind::string, 3}, "00", "ok"},
        {"string with bytes after the NUL", {1, Kind::string, 3}, "610062", "ok"},
        {"string without NUL", {1, Kind::string, 3}, "6162", "EINVAL"},
        {"string of no bytes", {1, Kind::string, 3}, "", "EINVAL"},
        {"string NUL beyond the limit", {1, Kind::string, 3}, "6162636400", "EINVAL"},
        {"string NUL early, data too long", {1, Kind::string, 3}, "6100626364", "ERANGE"},
        {"binary empty", {1, Kind::binary, 8}, "", "ok"},
        {"binary full", {1, Kind::binary, 2}, "0102", "ok"},
        {"binary too long", {1, Kind::binary, 2}, "010203", "ERANGE"},
        {"fixed", {1, Kind::fixed, 2}, "0102", "ok"},
        {"fixed longer", {1, Kind::fixed, 2}, "010203", "ok"},
        {"fixed short", {1, Kind::fixed, 2}, "01", "ERANGE"},
        {"nest empty", {1, Kind::nested}, "", "ok"},
        {"nest of 1", {1, Kind::nested}, "01", "ERANGE"},
        {"nest of 3", {1, Kind::nested}, "010203", "ERANGE"},
        {"nest of 4", {1, Kind::nested}, "01020304", "ok"},
        {"ignored", {1, Kind::ignored}, "01", "ok"},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto payload = hex(row.payload);
            BOOST_TEST(outcome(netlink::check(row.rule, payload)) == row.expected);
        }
    }
}

BOOST_AUTO_TEST_CASE(attributes_are_found_by_number) {
    const auto bytes = hex(R"(
        06 00 01 00  02 00 00 00      // 1: u16
        07 00 02 80  61 62 00 00      // 2: "ab", NLA_F_NESTED set and ignored
        05 00 63 00  ff 00 00 00      // 99: unknown
        05 00 00 00  ff 00 00 00      // 0: never valid, skipped
        07 00 03 00  01 02 03 00      // 3: three bytes
    )");
    const auto attributes = Attributes::parse(bytes, policy);
    BOOST_TEST_REQUIRE(attributes.has_value());
    BOOST_TEST((*attributes)[1]->value<std::uint16_t>() == 2);
    BOOST_TEST((*attributes)[2]->text() == "ab");
    BOOST_TEST((*attributes)[3]->value<std::uint32_t>() == 0x00030201U);
    BOOST_TEST(!(*attributes)[4].has_value());
    BOOST_TEST(attributes->has({1, 2, 3}));
    BOOST_TEST(!attributes->has({1, 4}));
    BOOST_TEST(attributes->value_or<std::uint8_t>(4, 9) == 9);
}

// Linux: lib/nlattr.c __nla_validate_parse with NL_VALIDATE_STRICT.
BOOST_AUTO_TEST_CASE(strict_rules_ignore_nothing) {
    const struct {
        const char* name;
        const char* bytes;
        const char* said;  ///< empty: accepted
        bool about_an_attribute = true;
    } rows[]{
        {"as it should be", "06000100 02000000 06000200 61000000", ""},
        {"u16 too long", "08000100 02000000", "invalid attribute length"},
        {"u16 too short", "05000100 02000000", "invalid attribute length"},
        {"known, of no kind", "06000400 02000000", "Unsupported attribute"},
        {"beyond the last", "06000500 02000000", "Unknown attribute type"},
        {"number 0", "06000000 02000000", "Unknown attribute type"},
        {"a nest that is none", "06000180 02000000", "NLA_F_NESTED not expected"},
        {"text without NUL", "06000200 61620000", "Attribute failed policy validation"},
        {"bytes behind", "06000100 02000000 0000", "bytes leftover after parsing attributes", false},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto bytes = hex(row.bytes);
            netlink::ExtendedAck said;
            const auto parsed = Attributes::parse(bytes, policy, &said, netlink::Rules::strict);
            BOOST_TEST(said.text == row.said);
            BOOST_TEST(parsed.has_value() == said.text.empty());
            const bool about = !said.text.empty() && row.about_an_attribute;
            BOOST_TEST(said.attribute == (about ? bytes.data() : nullptr));
        }
    }
}

BOOST_AUTO_TEST_CASE(the_last_of_several_counts_but_all_are_checked) {
    const auto twice = hex("06000100 01000000 06000100 02000000");
    BOOST_TEST((*Attributes::parse(twice, policy))[1]->value<std::uint16_t>() == 2);
    const auto short_then_good = hex("05000100 01000000 06000100 02000000");
    BOOST_TEST((Attributes::parse(short_then_good, policy).error() == Malformed::out_of_range));
}

BOOST_AUTO_TEST_CASE(the_walk_ends_silently_at_a_header_that_does_not_fit) {
    const struct {
        const char* name;
        const char* tail;
    } rows[]{
        {"three bytes", "050001"},
        {"length 0", "00000100"},
        {"length 3", "03000100"},
        {"length beyond the end", "09000100 01000000"},
        {"length largest", "ffff0100 01000000"},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto bytes = hex("07000200 61620000" + std::string{row.tail});
            const auto attributes = Attributes::parse(bytes, policy);
            BOOST_TEST_REQUIRE(attributes.has_value());
            BOOST_TEST((*attributes)[2]->text() == "ab");
            BOOST_TEST(!(*attributes)[1].has_value());
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
