#include "kni/rtnetlink/from_message.hpp"

#include "tests/support/hex.hpp"

#include <string>

#include <boost/test/unit_test.hpp>
#include <linux/if_bonding.h>
#include <netinet/in.h>

using namespace nlvs;
using namespace nlvs::kni;
using net::operator""_ip;
using test::hex;

namespace {

/// RTM_NEWLINK of interface 7, which is up, with these attributes; `length` is the whole message's.
Link decode(const std::string& length, const std::string& attributes) {
    const auto bytes = hex(
        length + "000000 1000 0000 00000000 00000000 00 00 0100 07000000 01000000 00000000" +
        attributes
    );
    const auto message = netlink::MessageView::parse(bytes);
    BOOST_TEST_REQUIRE(message.has_value());
    const auto event = event_from_message(*message);
    BOOST_TEST_REQUIRE(event.has_value());
    return std::get<Link>(event->object);
}

/// gre, both keys 77, 192.0.2.1 to 192.0.2.2, ttl 64, tos inherit, pmtudisc. `flags` are the GRE
/// flags of what it receives.
Link gre(const std::string& flags) {
    return decode("78", R"(5800 1200 0800 0100 67726500
        4c00 0200 0600 0200 )" + flags + R"( 0000 0600 0300 2000 0000
                  0800 0400 0000004d 0800 0500 0000004d
                  0800 0600 c0000201 0800 0700 c0000202
                  0500 0800 40000000 0500 0900 01000000 0500 0a00 01000000)");
}

/// A member of bond 9: its state and the state of its link.
Link member(const std::string& state, const std::string& link) {
    return decode("54", R"(0800 0a00 09000000 2c00 1200 0800 0100 74756e00
        0900 0400 626f6e6400 000000 1400 0500 0500 0100 )" + state + "000000 0500 0200 " + link +
        "000000");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(link_message_test)

BOOST_AUTO_TEST_CASE(a_bond_says_how_it_spreads) {
    const Link bond = decode("50", R"(0a00 0300 626f6e643000 0000 2400 1200
        0900 0100 626f6e6400 000000 1400 0200 0500 0100 04000000 0500 0e00 01000000)");
    BOOST_TEST(bond.name == "bond0");
    BOOST_TEST(bond.kind == "bond");
    BOOST_TEST(bond.bond_mode == BOND_MODE_8023AD);
    BOOST_TEST(bond.bond_hash_policy == BOND_XMIT_POLICY_LAYER34);
    BOOST_TEST(!bond.idle_member);
}

BOOST_AUTO_TEST_CASE(a_member_sends_while_it_is_active_and_its_link_is_up) {
    BOOST_TEST(member("00", "00").master == 9U);
    BOOST_TEST(!member("00", "00").idle_member);
    BOOST_TEST(member("01", "00").idle_member);
    BOOST_TEST(member("00", "02").idle_member);
    BOOST_TEST(member("01", "02").idle_member);
}

BOOST_AUTO_TEST_CASE(a_gre_tunnel_with_keys_is_plain) {
    const Link link = gre("2000");
    BOOST_TEST(link.kind == "gre");
    TunnelDevice expected;
    expected.plain = true;
    expected.dont_fragment = true;
    expected.time_to_live = 64;
    expected.local = "192.0.2.1"_ip;
    expected.remote = "192.0.2.2"_ip;
    expected.has_input_key = expected.has_output_key = true;
    expected.input_key = expected.output_key = 77;
    BOOST_TEST((link.tunnel == expected));
}

BOOST_AUTO_TEST_CASE(a_gre_tunnel_with_checksums_or_sequence_numbers_is_not) {
    BOOST_TEST(!gre("a000").tunnel.plain);
    BOOST_TEST(!gre("3000").tunnel.plain);
}

BOOST_AUTO_TEST_CASE(a_tunnel_over_ipv6_has_its_own_attributes) {
    const Link link = decode("7c", R"(5c00 1200 0b00 0100 697036746e6c00 00
        4c00 0200 1400 0200 20010db8000000000000000000000001
                  1400 0300 20010db8000000000000000000000002
                  0500 0400 00000000 0800 0700 05800000 0800 0800 02000000 0500 0900 04000000)");
    BOOST_TEST(link.tunnel.plain);
    BOOST_TEST((link.tunnel.remote == "2001:db8::2"_ip));
    BOOST_TEST(link.tunnel.time_to_live == 64);
    BOOST_TEST(link.tunnel.type_of_service == 0x58);
    BOOST_TEST(link.tunnel.inherits_service);
    BOOST_TEST(link.tunnel.inside == IPPROTO_IPIP);
}

BOOST_AUTO_TEST_CASE(a_tunnel_without_the_other_end_is_not_plain) {
    const Link link = decode("3c", R"(1c00 1200 0900 0100 6970697000 000000
        0c00 0200 0800 0200 c0000201)");
    BOOST_TEST(link.kind == "ipip");
    BOOST_TEST(!link.tunnel.plain);
}

BOOST_AUTO_TEST_SUITE_END()
