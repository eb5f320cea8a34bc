#include "compat/netlink/message.hpp"

#include "tests/support/hex.hpp"

#include <boost/test/unit_test.hpp>

namespace {

using namespace nlvs;
using test::hex;

BOOST_AUTO_TEST_SUITE(message)

BOOST_AUTO_TEST_CASE(header_fields_and_payload_are_views_of_the_buffer) {
    const auto bytes = hex(R"(
        16 00 00 00  // length 22
        56 49        // type
        05 03        // flags REQUEST ACK ROOT MATCH
        01 02 03 04  // sequence
        34 12 00 00  // port
        04 01 00 00  // generic header: GET_SERVICE, version 1
        aa bb        // rest
        00 00        // padding
    )");
    const auto message = netlink::MessageView::parse(bytes);
    BOOST_TEST_REQUIRE(message.has_value());
    BOOST_TEST(message->type() == 0x4956);
    BOOST_TEST(message->header().nlmsg_seq == 0x04030201U);
    BOOST_TEST(message->is_request());
    BOOST_TEST(message->wants_ack());
    BOOST_TEST(message->wants_dump());
    BOOST_TEST(message->bytes().size() == 22U);
    BOOST_TEST(test::to_hex(message->payload()) == "04010000aabb");
    BOOST_TEST(message->generic_header()->cmd == 4);
    BOOST_TEST(test::to_hex(message->attributes()) == "aabb");
}

BOOST_AUTO_TEST_CASE(one_dump_bit_alone_is_no_dump) {
    const struct {
        const char* flags;
        bool dumps;
    } rows[]{{"0101", false}, {"0102", false}, {"0103", true}, {"ff03", true}};

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.flags) {
            const auto bytes = hex("10000000 5649" + std::string{row.flags} + "00000000 00000000");
            BOOST_TEST(netlink::MessageView::parse(bytes)->wants_dump() == row.dumps);
        }
    }
}

BOOST_AUTO_TEST_CASE(lengths_outside_the_buffer_are_refused) {
    const struct {
        const char* name;
        const char* bytes;
    } rows[]{
        {"empty", ""},
        {"15 bytes", "10000000 00000000 00000000 000000"},
        {"length 0", "00000000 00000000 00000000 00000000"},
        {"length 15", "0f000000 00000000 00000000 00000000"},
        {"length one too large", "11000000 00000000 00000000 00000000"},
        {"length largest", "ffffffff 00000000 00000000 00000000"},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            BOOST_TEST(!netlink::MessageView::parse(hex(row.bytes)).has_value());
        }
    }
}

BOOST_AUTO_TEST_CASE(a_payload_below_four_bytes_has_no_generic_header) {
    const auto bytes = hex("13000000 56490500 00000000 00000000 040100");
    const auto message = netlink::MessageView::parse(bytes);
    BOOST_TEST_REQUIRE(message.has_value());
    BOOST_TEST(!message->generic_header().has_value());
    BOOST_TEST(message->attributes().empty());
}

BOOST_AUTO_TEST_CASE(several_messages_are_taken_until_the_first_bad_length) {
    const auto bytes = hex(R"(
        11 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 aa 00 00 00  // length 17, padded to 20
        10 00 00 00 02 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00              // what clients pad with
        10 00 00 00 03 00 00 00 00 00 00 00 00 00 00 00              // never reached
    )");
    netlink::Bytes rest{bytes};
    std::vector<std::uint16_t> types;
    while (const auto message = netlink::take_message(rest)) types.push_back(message->type());
    BOOST_TEST(types == (std::vector<std::uint16_t>{1, 2}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(the_last_message_needs_no_padding) {
    const auto bytes = hex("11000000 01000000 00000000 00000000 aa");
    netlink::Bytes rest{bytes};
    BOOST_TEST(netlink::take_message(rest).has_value());
    BOOST_TEST(rest.empty());
    BOOST_TEST(!netlink::take_message(rest).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
