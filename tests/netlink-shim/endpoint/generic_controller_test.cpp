#include "netlink-shim/endpoint/generic_controller.hpp"

#include "compat/net/bytes.hpp"
#include "compat/netlink/message.hpp"
#include "netlink-shim/endpoint/genl_dispatcher.hpp"
#include "tests/support/fake_control.hpp"
#include "tests/support/hex.hpp"

#include <string>

#include <boost/test/unit_test.hpp>

namespace {

using namespace nlvs;
using test::hex;
using test::to_hex;

struct Fixture {
    shim::Answer ask(const std::string& digits) {
        return dispatcher.handle(hex(digits), {.port = 0x1234});
    }

    test::FakeControl control;
    shim::GenlDispatcher dispatcher{control, 0x25};
};

// The 388 bytes of Linux 6.1, family id 0x25.
const std::string family_entry = R"(
    01 02 00 00                                      // NEWFAMILY, version 2
    09 00 02 00 49 50 56 53 00 00 00 00              // FAMILY_NAME
    06 00 01 00 25 00 00 00                          // FAMILY_ID
    08 00 03 00 01 00 00 00                          // VERSION
    08 00 04 00 00 00 00 00                          // HDRSIZE
    08 00 05 00 06 00 00 00                          // MAXATTR
    44 01 06 00                                      // OPS
    14 00 01 00 08 00 01 00 01 00 00 00 08 00 02 00 0b 00 00 00
    14 00 02 00 08 00 01 00 02 00 00 00 08 00 02 00 0b 00 00 00
    14 00 03 00 08 00 01 00 03 00 00 00 08 00 02 00 0b 00 00 00
    14 00 04 00 08 00 01 00 04 00 00 00 08 00 02 00 0f 00 00 00
    14 00 05 00 08 00 01 00 05 00 00 00 08 00 02 00 0b 00 00 00
    14 00 06 00 08 00 01 00 06 00 00 00 08 00 02 00 0b 00 00 00
    14 00 07 00 08 00 01 00 07 00 00 00 08 00 02 00 0b 00 00 00
    14 00 08 00 08 00 01 00 08 00 00 00 08 00 02 00 0d 00 00 00
    14 00 09 00 08 00 01 00 09 00 00 00 08 00 02 00 0b 00 00 00
    14 00 0a 00 08 00 01 00 0a 00 00 00 08 00 02 00 0b 00 00 00
    14 00 0b 00 08 00 01 00 0b 00 00 00 08 00 02 00 0d 00 00 00
    14 00 0c 00 08 00 01 00 0c 00 00 00 08 00 02 00 0b 00 00 00
    14 00 0d 00 08 00 01 00 0d 00 00 00 08 00 02 00 0b 00 00 00
    14 00 0e 00 08 00 01 00 0f 00 00 00 08 00 02 00 0b 00 00 00
    14 00 0f 00 08 00 01 00 10 00 00 00 08 00 02 00 0b 00 00 00
    14 00 10 00 08 00 01 00 11 00 00 00 08 00 02 00 0b 00 00 00
)";

BOOST_FIXTURE_TEST_SUITE(generic_controller, Fixture)

BOOST_AUTO_TEST_CASE(resolving_our_name_yields_entry_and_acknowledgement_apart) {
    const auto answer =
        ask("20000000 10000500 01000000 00000000 03010000 09000200 49505653 00000000");
    BOOST_TEST_REQUIRE(answer.datagrams.size() == 2U);
    BOOST_TEST(answer.datagrams[0].size() == 388U);
    BOOST_TEST(
        to_hex(answer.datagrams[0]) ==
        to_hex(hex("84 01 00 00 10 00 00 00 01 00 00 00 34 12 00 00" + family_entry))
    );
    BOOST_TEST(to_hex(answer.datagrams[1]) == to_hex(hex(R"(
            24 00 00 00 02 00 00 01 01 00 00 00 34 12 00 00
            00 00 00 00
            20 00 00 00 10 00 05 00 01 00 00 00 00 00 00 00
        )")));
}

BOOST_AUTO_TEST_CASE(the_entry_of_a_full_dump_is_a_multipart_message) {
    const auto answer = ask("14000000 10000503 01000000 00000000 03010000");
    BOOST_TEST(answer.datagrams.empty());
    BOOST_TEST_REQUIRE((answer.dump != nullptr));
    BOOST_TEST(
        to_hex(answer.dump->next(16)) ==
        to_hex(hex("84 01 00 00 10 00 02 00 01 00 00 00 34 12 00 00" + family_entry))
    );
    BOOST_TEST(answer.dump->next(4096).empty());
    BOOST_TEST(to_hex(answer.dump->done()) == "1400000003000200010000003412000000000000");
}

BOOST_AUTO_TEST_CASE(other_requests_fail_as_in_linux) {
    const std::string header = "10000500 01000000 00000000 ";

    const struct {
        const char* name;
        std::string message;
        int error;  ///< 0: the entry and an acknowledgement
    } rows[]{
        {"our id", "1c000000" + header + "03010000 06000100 25000000", 0},
        {"name wins over a foreign id",
         "28000000" + header + "03010000 06000100 e7030000 09000200 49505653 00000000",
         0},
        {"another name", "20000000" + header + "03010000 0a000200 49505653 58000000", 2},
        {"prefix of our name", "1c000000" + header + "03010000 08000200 49505600", 2},
        {"another id", "1c000000" + header + "03010000 06000100 e7030000", 2},
        {"neither", "14000000" + header + "03010000", 22},
        {"name without NUL", "1c000000" + header + "03010000 08000200 49505653", 22},
        {"name too long",
         "2c000000" + header + "03010000 18000200 41414141 41414141 41414141 41414141 41414100",
         22},
        {"short id", "1c000000" + header + "03010000 05000100 25000000", 34},
        {"no such command", "14000000" + header + "01010000", 95},
        {"GETPOLICY without dump", "14000000" + header + "0a010000", 95},
        {"strict command with reserved bits", "14000000" + header + "63010100", 22},
        {"no command at all", "12000000" + header + "0301", 22},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto answer = ask(row.message);
            BOOST_TEST((answer.dump == nullptr));
            BOOST_TEST_REQUIRE(answer.datagrams.size() == (row.error == 0 ? 2U : 1U));
            const auto last = netlink::MessageView::parse(answer.datagrams.back());
            BOOST_TEST(last->type() == NLMSG_ERROR);
            BOOST_TEST(net::extract<std::int32_t>(last->payload()).value() == -row.error);
        }
    }
}

// The bytes of Linux 6.1; all of them are in tests/kernel, case 53-raw-policy.
BOOST_AUTO_TEST_CASE(policies_are_listed_in_messages_of_one_each) {
    const std::string header = "10000103 01000000 00000000 0a010000 09000200 49505653 00000000";
    const std::string reply = " 10000200 01000000 34120000 0a020000 06000100 25000000 ";
    const auto answer = ask("28000000" + header + "08000a00 01000000");
    BOOST_TEST_REQUIRE((answer.dump != nullptr));
    BOOST_TEST(
        to_hex(answer.dump->next(16)) ==
        to_hex(hex("2c000000" + reply + "10000980 0c000180 08000100 00000000"))
    );
    for (const char* number : {"01", "02", "03"}) {
        BOOST_TEST(
            to_hex(answer.dump->next(48)) ==
            to_hex(hex("30000000" + reply + "14000880 10000080 0c00" + number + "80 08000100 0d000000"))
        );
    }
    BOOST_TEST(
        to_hex(answer.dump->next(100)) ==
        to_hex(hex("48000000" + reply + R"(
            2c000880 28000080 24000480
            0c000400 00000000 00000000
            0c000500 ffffffff 00000000
            08000100 04000000
        )"))
    );
    BOOST_TEST(answer.dump->next(4096).size() == 2 * 72U);
    BOOST_TEST(answer.dump->next(4096).empty());

    const auto all = ask("20000000" + header);
    BOOST_TEST_REQUIRE((all.dump != nullptr));
    BOOST_TEST(all.dump->next(4096).size() == 14 * 44U + 3 * 48U + 3 * 72U);
    BOOST_TEST(all.dump->next(4096).empty());
}

BOOST_AUTO_TEST_CASE(policies_that_cannot_be_listed) {
    const std::string header = "10000103 01000000 00000000 0a010000 ";
    const std::string name = "09000200 49505653 00000000 ";

    const struct {
        const char* name;
        std::string message;
        int error;
    } rows[]{
        {"no family", "14000000" + header, 22},
        {"another family", "20000000" + header + "0a000200 49505653 58000000", 2},
        {"no such command", "28000000" + header + name + "08000a00 0e000000", 2},
        {"short command", "28000000" + header + name + "06000a00 04000000", 22},
        {"an attribute of GETFAMILY", "28000000" + header + name + "08000300 01000000", 22},
        {"an unknown attribute", "28000000" + header + name + "08004d00 01000000", 22},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto answer = ask(row.message);
            BOOST_TEST((answer.dump == nullptr));
            BOOST_TEST_REQUIRE(answer.datagrams.size() == 1U);
            const auto error = netlink::MessageView::parse(answer.datagrams.back());
            BOOST_TEST(net::extract<std::int32_t>(error->payload()).value() == -row.error);
        }
    }
}

BOOST_AUTO_TEST_CASE(resolution_needs_no_privilege) {
    const auto answer = dispatcher.handle(
        hex("1c000000 10000100 01000000 00000000 03010000 06000100 25000000"),
        {.port = 1, .privileged = false}
    );
    BOOST_TEST_REQUIRE(answer.datagrams.size() == 1U);
    BOOST_TEST(answer.datagrams[0].size() == 388U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
