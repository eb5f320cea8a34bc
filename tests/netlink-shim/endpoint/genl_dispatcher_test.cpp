#include "netlink-shim/endpoint/genl_dispatcher.hpp"

#include "compat/net/ip_address.hpp"
#include "compat/netlink/builder.hpp"
#include "tests/support/fake_control.hpp"
#include "tests/support/genl_request.hpp"
#include "tests/support/printing.hpp"

#include <string>

#include <boost/test/unit_test.hpp>

namespace {

using namespace nlvs;
using namespace nlvs::test;
using net::operator""_ip;
using shim::Datagram;

const std::string body =
    "07000600 72720000 0c000700 00000000 ffffffff 08000800 00000000 08000900 ffffffff ";
const std::string to_key = "14000100 0a00000b 00000000 00000000 00000000 06000200 00500000 ";
const std::string to_body =
    "08000300 00000000 08000400 01000000 08000500 00000000 08000600 00000000";
const std::string service = nest(1, key);
const std::string full_service = nest(1, key + body);
const std::string unknown_service = nest(1, other_key);
const std::string destination = nest(2, to_key);
const std::string full_destination = nest(2, to_key + to_body);
const std::string daemon =
    nest(3, "08000100 01000000 09000200 65746830 00000000 08000300 05000000");
const std::string daemon_state = nest(3, "08000100 01000000");

struct Fixture {
    shim::Answer ask(const Datagram& bytes, const shim::Client& client = {.port = 0x1234}) {
        return dispatcher.handle(bytes, client);
    }

    /// The number in the one acknowledgement that `bytes` is answered with.
    int outcome(const Datagram& bytes, const shim::Client& client = {.port = 0x1234}) {
        const auto answer = ask(bytes, client);
        BOOST_TEST((answer.dump == nullptr));
        BOOST_TEST_REQUIRE(answer.datagrams.size() == 1U);
        const auto reply = netlink::MessageView::parse(answer.datagrams[0]);
        BOOST_TEST_REQUIRE(reply->type() == NLMSG_ERROR);
        return -net::extract<std::int32_t>(reply->payload()).value();
    }

    FakeControl control;
    shim::GenlDispatcher dispatcher{control, family_id};
};

BOOST_FIXTURE_TEST_SUITE(genl_dispatcher, Fixture)

BOOST_AUTO_TEST_CASE(acknowledgement_of_a_new_service) {
    const auto answer = ask(message(IPVS_CMD_NEW_SERVICE, with_ack, full_service));
    BOOST_TEST_REQUIRE(answer.datagrams.size() == 1U);
    BOOST_TEST(to_hex(answer.datagrams[0]) == to_hex(hex(R"(
        24 00 00 00 02 00 00 01 03 00 00 00 34 12 00 00
        00 00 00 00
        68 00 00 00 25 00 05 00 03 00 00 00 34 12 00 00
    )")));
    BOOST_TEST(control.services.size() == 1U);
}

BOOST_AUTO_TEST_CASE(every_command_reaches_its_verb) {
    BOOST_TEST(outcome(message(IPVS_CMD_NEW_SERVICE, with_ack, full_service)) == 0);
    BOOST_TEST(
        outcome(message(
            IPVS_CMD_SET_SERVICE,
            with_ack,
            nest(
                1,
                key + "08000600 77727200 0c000700 04000000 ffffffff 08000800 0a000000 08000900 "
                      "ffffffff"
            )
        )) == 0
    );
    BOOST_TEST(control.services[0].view.spec.scheduler == "wrr");
    BOOST_TEST(control.services[0].view.spec.flags.word == 6U);
    BOOST_TEST(outcome(message(IPVS_CMD_NEW_DEST, with_ack, service + full_destination)) == 0);
    BOOST_TEST(
        outcome(message(
            IPVS_CMD_SET_DEST,
            with_ack,
            service +
                nest(
                    2,
                    to_key +
                        "08000300 03000000 08000400 07000000 08000500 00000000 08000600 00000000"
                )
        )) == 0
    );
    BOOST_TEST(control.services[0].destinations.at(0).second.spec.weight == 7);
    BOOST_TEST(outcome(message(IPVS_CMD_ZERO, with_ack)) == 0);
    BOOST_TEST(outcome(message(IPVS_CMD_ZERO, with_ack, service)) == 0);
    BOOST_TEST_REQUIRE(control.zeroed.size() == 2U);
    BOOST_TEST(!control.zeroed[0].has_value());
    BOOST_TEST(control.zeroed[1].has_value());
    BOOST_TEST(outcome(message(IPVS_CMD_DEL_DEST, with_ack, service + destination)) == 0);
    BOOST_TEST(control.services[0].destinations.empty());
    BOOST_TEST(outcome(message(IPVS_CMD_DEL_SERVICE, with_ack, service)) == 0);
    BOOST_TEST(control.services.empty());
    BOOST_TEST(outcome(message(IPVS_CMD_NEW_SERVICE, with_ack, full_service)) == 0);
    BOOST_TEST(outcome(message(IPVS_CMD_FLUSH, with_ack)) == 0);
    BOOST_TEST(control.services.empty());
    BOOST_TEST(outcome(message(IPVS_CMD_SET_CONFIG, with_ack, "08000500 3c000000")) == 0);
    BOOST_TEST(control.current_timeouts == (ipvs::Timeouts{900, 60, 300}));
    BOOST_TEST(outcome(message(IPVS_CMD_NEW_DAEMON, with_ack, daemon)) == 0);
    BOOST_TEST(control.running.size() == 1U);
    BOOST_TEST(outcome(message(IPVS_CMD_DEL_DAEMON, with_ack, daemon_state)) == 0);
    BOOST_TEST(control.running.empty());
}

BOOST_AUTO_TEST_CASE(replies_and_acknowledgements_are_datagrams_of_their_own) {
    BOOST_TEST(outcome(message(IPVS_CMD_NEW_SERVICE, with_ack, full_service)) == 0);

    const struct {
        const char* name;
        std::uint8_t command;
        std::string attributes;
        std::size_t size;
    } rows[]{
        {"information", IPVS_CMD_GET_INFO, "", 36},
        {"timeouts", IPVS_CMD_GET_CONFIG, "", 44},
        {"service", IPVS_CMD_GET_SERVICE, service, 320},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto plain = ask(message(row.command, request, row.attributes));
            BOOST_TEST_REQUIRE(plain.datagrams.size() == 1U);
            BOOST_TEST(plain.datagrams[0].size() == row.size);
            const auto acknowledged = ask(message(row.command, with_ack, row.attributes));
            BOOST_TEST_REQUIRE(acknowledged.datagrams.size() == 2U);
            BOOST_TEST(to_hex(acknowledged.datagrams[0]) == to_hex(plain.datagrams[0]));
            BOOST_TEST(acknowledged.datagrams[1].size() == 36U);
        }
    }
}

BOOST_AUTO_TEST_CASE(success_without_a_wish_for_acknowledgement_is_silent) {
    BOOST_TEST(ask(message(IPVS_CMD_NEW_SERVICE, request, full_service)).datagrams.empty());
    BOOST_TEST(control.services.size() == 1U);
    BOOST_TEST(outcome(message(IPVS_CMD_NEW_SERVICE, request, full_service)) == EEXIST);
}

// Linux: af_netlink.c netlink_rcv_skb.
BOOST_AUTO_TEST_CASE(control_messages_and_non_requests_are_acknowledged_and_not_executed) {
    BOOST_TEST(outcome(message(IPVS_CMD_GET_INFO, with_ack, "", 0)) == 0);
    BOOST_TEST(outcome(message(IPVS_CMD_FLUSH, with_ack, "", NLMSG_MIN_TYPE - 1)) == 0);
    BOOST_TEST(ask(message(IPVS_CMD_GET_INFO, request, "", 0)).datagrams.empty());
    BOOST_TEST(outcome(message(IPVS_CMD_NEW_SERVICE, NLM_F_ACK, full_service)) == 0);
    BOOST_TEST(ask(message(IPVS_CMD_NEW_SERVICE, 0, full_service)).datagrams.empty());
    BOOST_TEST(control.services.empty());
}

BOOST_AUTO_TEST_CASE(errors_come_in_the_order_of_linux) {
    BOOST_TEST(outcome(message(IPVS_CMD_NEW_SERVICE, with_ack, full_service)) == 0);
    BOOST_TEST(outcome(message(IPVS_CMD_NEW_DEST, with_ack, service + full_destination)) == 0);
    const std::string bad_family = nest(
        1,
        "06000100 07000000 06000200 06000000 14000300 0a000001 00000000 00000000 00000000 "
        "06000400 00500000 " +
            body
    );
    const std::string v6_mark = nest(
        1,
        "06000100 0a000000 08000500 09000000 07000600 72720000 "
        "0c000700 00000000 ffffffff 08000800 00000000 "
        "08000900 00000000"
    );
    const std::string unknown_scheduler = nest(
        1,
        other_key +
            "07000600 71710000 0c000700 00000000 ffffffff 08000800 00000000 "
            "08000900 ffffffff"
    );
    const auto dest = [](const std::string& fields) { return nest(2, to_key + fields); };

    const struct {
        const char* name;
        std::uint8_t command;
        std::string attributes;
        int expected;
    } rows[]{
        {"command 0", 0, "", EOPNOTSUPP},
        {"SET_INFO", IPVS_CMD_SET_INFO, "", EOPNOTSUPP},
        {"command 99", 99, "", EOPNOTSUPP},
        {"GET_DEST without dump", IPVS_CMD_GET_DEST, service, EOPNOTSUPP},
        {"GET_DAEMON without dump", IPVS_CMD_GET_DAEMON, "", EOPNOTSUPP},
        {"top-level policy even where attributes do not matter",
         IPVS_CMD_FLUSH,
         "06000400 05000000",
         ERANGE},
        {"no service", IPVS_CMD_NEW_SERVICE, "", EINVAL},
        {"unknown family", IPVS_CMD_NEW_SERVICE, bad_family, EAFNOSUPPORT},
        {"service exists", IPVS_CMD_NEW_SERVICE, full_service, EEXIST},
        {"unknown scheduler", IPVS_CMD_NEW_SERVICE, unknown_scheduler, ENOENT},
        {"v6 prefix length 0", IPVS_CMD_NEW_SERVICE, v6_mark, EINVAL},
        {"edit: no service", IPVS_CMD_SET_SERVICE, nest(1, other_key + body), ESRCH},
        {"edit: incomplete before missing", IPVS_CMD_SET_SERVICE, unknown_service, EINVAL},
        {"delete: no service", IPVS_CMD_DEL_SERVICE, unknown_service, ESRCH},
        {"get: no service", IPVS_CMD_GET_SERVICE, unknown_service, ESRCH},
        {"get: no attribute", IPVS_CMD_GET_SERVICE, "", EINVAL},
        {"zero: no service", IPVS_CMD_ZERO, unknown_service, ESRCH},
        {"zero: empty nest", IPVS_CMD_ZERO, nest(1, ""), EINVAL},
        {"add: no service before no destination", IPVS_CMD_NEW_DEST, unknown_service, ESRCH},
        {"add: bad service before no service",
         IPVS_CMD_NEW_DEST,
         nest(1, "") + destination,
         EINVAL},
        {"add: no destination", IPVS_CMD_NEW_DEST, service, EINVAL},
        {"add: incomplete", IPVS_CMD_NEW_DEST, service + destination, EINVAL},
        {"add: unknown family",
         IPVS_CMD_NEW_DEST,
         service + dest(to_body + "06000b00 07000000"),
         EAFNOSUPPORT},
        {"add: other family, no tunnel",
         IPVS_CMD_NEW_DEST,
         service + dest(to_body + "06000b00 0a000000"),
         EINVAL},
        {"add: negative weight",
         IPVS_CMD_NEW_DEST,
         service + dest("08000300 00000000 08000400 ffffffff 08000500 00000000 08000600 00000000"),
         ERANGE},
        {"add: exists", IPVS_CMD_NEW_DEST, service + full_destination, EEXIST},
        {"edit: no destination",
         IPVS_CMD_SET_DEST,
         service +
             nest(2, "14000100 0a00000c 00000000 00000000 00000000 06000200 00500000 " + to_body),
         ENOENT},
        {"delete: no destination",
         IPVS_CMD_DEL_DEST,
         service + nest(2, "14000100 0a00000c 00000000 00000000 00000000 06000200 00500000"),
         ENOENT},
        {"delete: other family is merely not found",
         IPVS_CMD_DEL_DEST,
         service + dest("06000b00 0a000000"),
         ENOENT},
        {"daemon: none given", IPVS_CMD_NEW_DAEMON, "", EINVAL},
        {"daemon: unknown interface",
         IPVS_CMD_NEW_DAEMON,
         nest(3, "08000100 01000000 07000200 78780000 08000300 05000000"),
         ENODEV},
        {"daemon: none running", IPVS_CMD_DEL_DAEMON, daemon_state, ESRCH},
        {"timeouts out of range", IPVS_CMD_SET_CONFIG, "08000400 ffffffff", EINVAL},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            BOOST_TEST(outcome(message(row.command, with_ack, row.attributes)) == row.expected);
        }
    }
    BOOST_TEST(outcome(message(IPVS_CMD_GET_INFO, with_ack, "", 0xFFF4)) == ENOENT);
    BOOST_TEST(
        outcome(message(IPVS_CMD_GET_INFO, with_ack), {.port = 1, .privileged = false}) == EPERM
    );
}

BOOST_AUTO_TEST_CASE(bytes_that_are_no_message_are_answered_with_nothing) {
    BOOST_TEST(ask({}).datagrams.empty());
    BOOST_TEST(ask(hex("ff000000 25000500 00000000 00000000")).datagrams.empty());
    BOOST_TEST(outcome(hex("12000000 25000500 00000000 00000000 0401")) == EINVAL);
}

BOOST_AUTO_TEST_CASE(a_second_listing_on_a_busy_port_is_ebusy) {
    const shim::Client busy{.port = 1, .privileged = true, .dump_running = true};
    for (const std::uint8_t command : {IPVS_CMD_GET_SERVICE, IPVS_CMD_GET_DEST}) {
        BOOST_TEST(outcome(message(command, with_dump), busy) == EBUSY);
    }
    BOOST_TEST(outcome(message(IPVS_CMD_FLUSH, with_ack), busy) == 0);
    BOOST_TEST(outcome(message(IPVS_CMD_FLUSH, with_dump), busy) == EOPNOTSUPP);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
