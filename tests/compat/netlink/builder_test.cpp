#include "compat/netlink/builder.hpp"

#include "tests/support/hex.hpp"

#include <boost/test/unit_test.hpp>

namespace {

using namespace nlvs;
using test::hex;
using test::to_hex;

BOOST_AUTO_TEST_SUITE(builder)

BOOST_AUTO_TEST_CASE(nests_and_padding_are_laid_out_as_in_a_kernel_reply) {
    netlink::Datagram datagram;
    {
        netlink::ReplyBuilder reply{datagram, 0x25, NLM_F_MULTI, {.sequence = 3, .port = 0x1234}};
        reply.put_generic_header(9, 1);
        const auto outer = reply.nest(3);
        reply.put_text(2, "lo");
        {
            const auto inner = reply.nest(7);
            reply.put<std::uint8_t>(1, 5);
        }
        reply.put<std::uint16_t>(4, 0x0102);
    }
    BOOST_TEST(to_hex(datagram) == to_hex(hex(R"(
        34 00 00 00 25 00 02 00 03 00 00 00 34 12 00 00
        09 01 00 00
        20 00 03 00                // nest 3 up to the end
        07 00 02 00 6c 6f 00 00    // "lo" and NUL, one byte of padding
        0c 00 07 00                // nest 7
        05 00 01 00 05 00 00 00
        06 00 04 00 02 01 00 00
    )")));
}

BOOST_AUTO_TEST_CASE(messages_share_a_datagram) {
    netlink::Datagram datagram;
    { netlink::ReplyBuilder first{datagram, 1, 0, {}}; }
    { netlink::ReplyBuilder second{datagram, 2, 0, {}}; }
    netlink::Bytes rest{datagram};
    BOOST_TEST(netlink::take_message(rest)->type() == 1);
    BOOST_TEST(netlink::take_message(rest)->type() == 2);
    BOOST_TEST(rest.empty());
}

struct Request {
    explicit Request(const char* digits) : bytes{hex(digits)} {}

    netlink::MessageView view() const { return *netlink::MessageView::parse(bytes); }

    std::vector<std::byte> bytes;
};

BOOST_AUTO_TEST_CASE(an_acknowledgement_quotes_the_header_alone) {
    const Request request{"14000000 25000500 03000000 00000000 11010000"};
    BOOST_TEST(to_hex(netlink::make_ack(request.view(), 0x1234)) == to_hex(hex(R"(
        24 00 00 00 02 00 00 01 03 00 00 00 34 12 00 00  // NLMSG_ERROR, NLM_F_CAPPED
        00 00 00 00
        14 00 00 00 25 00 05 00 03 00 00 00 00 00 00 00  // with the port the client wrote
    )")));
}

BOOST_AUTO_TEST_CASE(an_error_quotes_the_whole_request) {
    const Request request{"14000000 25000500 03000000 00000000 04010000"};
    BOOST_TEST(to_hex(netlink::make_error(request.view(), 0x1234, 22)) == to_hex(hex(R"(
        28 00 00 00 02 00 00 00 03 00 00 00 34 12 00 00
        ea ff ff ff
        14 00 00 00 25 00 05 00 03 00 00 00 00 00 00 00 04 01 00 00
    )")));
}

// Recorded from Linux 6.1: a request of 21 bytes is answered with 44, not 41.
BOOST_AUTO_TEST_CASE(the_padding_of_an_unaligned_request_counts_in_an_error) {
    const Request request{"15000000 20000500 07000000 00000000 02010000 aa"};
    BOOST_TEST(
        to_hex(netlink::make_error(request.view(), 0xa1, 22)) ==
        "2c0000000200000007000000a1000000eaffffff"
        "1500000020000500070000000000000002010000aa000000"
    );
}

BOOST_AUTO_TEST_CASE(a_capped_error_quotes_the_header_alone) {
    const Request request{"14000000 25000500 03000000 00000000 04010000"};
    const netlink::AckOptions capped{.capped = true};
    BOOST_TEST(to_hex(netlink::make_error(request.view(), 0x1234, 22, capped)) == to_hex(hex(R"(
        24 00 00 00 02 00 00 01 03 00 00 00 34 12 00 00
        ea ff ff ff
        14 00 00 00 25 00 05 00 03 00 00 00 00 00 00 00
    )")));
}

// As Linux 6.1 answers, for each kind of attribute.
BOOST_AUTO_TEST_CASE(an_extended_error_says_which_attribute_and_what_it_must_be) {
    using netlink::Kind;

    const struct {
        const char* name;
        netlink::AttributeRule rule;
        const char* policy;
    } rows[] = {
        {"nested", {2, Kind::nested}, "0c00 0480 08000100 0d000000"},
        {"u8",
         {2, Kind::u8},
         "2400 0480 0c000400 0000000000000000 0c000500 ff00000000000000"
         "08000100 02000000"},
        {"u16",
         {2, Kind::u16},
         "2400 0480 0c000400 0000000000000000 0c000500 ffff000000000000"
         "08000100 03000000"},
        {"u32",
         {2, Kind::u32},
         "2400 0480 0c000400 0000000000000000 0c000500 ffffffff00000000"
         "08000100 04000000"},
        {"string", {2, Kind::string, 15}, "1400 0480 08000700 0f000000 08000100 0c000000"},
        {"anything of 16 bytes", {2, Kind::fixed, 16}, ""},
    };

    const Request request{"1c000000 25000500 03000000 00000000 01010000 05000200 ff000000"};
    const netlink::AckOptions extended{.extended = true};
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const netlink::ExtendedAck said{"no", request.bytes.data() + 20, row.rule};
            const auto error = netlink::make_error(request.view(), 0x1234, 34, extended, said);
            BOOST_TEST(to_hex(error).substr(8, 8) == "02000002");  // NLM_F_ACK_TLVS
            BOOST_TEST(
                to_hex(error).substr(std::size_t{2} * (20 + 28)) ==
                "070001006e6f00000800020014000000" + to_hex(hex(row.policy))
            );
            BOOST_TEST(netlink::make_error(request.view(), 0x1234, 34, {}, said).size() == 48U);
            BOOST_TEST(netlink::make_ack(request.view(), 0x1234, extended, said).size() == 44U);
        }
    }
}

BOOST_AUTO_TEST_CASE(done_ends_a_dump) {
    BOOST_TEST(
        to_hex(netlink::make_done({.sequence = 3, .port = 0x1234})) ==
        "1400000003000200030000003412000000000000"
    );
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
