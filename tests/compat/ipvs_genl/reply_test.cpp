#include "compat/ipvs_genl/reply.hpp"

#include "compat/net/ip_address.hpp"
#include "compat/procfs/kernel_clock.hpp"
#include "tests/support/hex.hpp"

#include <boost/test/unit_test.hpp>

namespace {

using namespace nlvs;
using net::operator""_ip;
using test::hex;
using test::to_hex;

constexpr ipvs_genl::ReplyContext reply{
    .family_id = 0x25, .flags = 0, .to = {.sequence = 2, .port = 0x1234}};
constexpr ipvs_genl::ReplyContext dump{
    .family_id = 0x25, .flags = NLM_F_MULTI, .to = {.sequence = 3, .port = 0x1234}};

ipvs::ServiceView web_service() {
    ipvs::ServiceView view{
        .key = ipvs::EndpointKey{6, "10.0.0.1"_ip, ipvs::Port{std::uint16_t{80}}},
        .spec = {},
        .statistics = {},
    };
    view.spec.scheduler = "rr";
    view.spec.flags.word = ipvs::ServiceFlags::hashed;
    return view;
}

/// What append_service writes, as digits.
std::string service_message(const ipvs::ServiceView& view) {
    netlink::Datagram datagram;
    ipvs_genl::append_service(datagram, dump, view);
    return to_hex(datagram);
}

BOOST_AUTO_TEST_SUITE(reply_encoding)

BOOST_AUTO_TEST_CASE(information) {
    netlink::Datagram datagram;
    ipvs_genl::append_information(datagram, reply, {});
    BOOST_TEST(to_hex(datagram) == to_hex(hex(R"(
        24 00 00 00 25 00 00 00 02 00 00 00 34 12 00 00
        0e 01 00 00              // SET_INFO
        08 00 01 00 01 02 01 00  // VERSION 1.2.1
        08 00 02 00 00 10 00 00  // CONN_TAB_SIZE 4096
    )")));
}

BOOST_AUTO_TEST_CASE(timeouts) {
    netlink::Datagram datagram;
    ipvs_genl::append_timeouts(datagram, reply, {});
    BOOST_TEST(to_hex(datagram) == to_hex(hex(R"(
        2c 00 00 00 25 00 00 00 02 00 00 00 34 12 00 00
        0c 01 00 00              // SET_CONFIG
        08 00 04 00 84 03 00 00  // TIMEOUT_TCP 900
        08 00 05 00 78 00 00 00  // TIMEOUT_TCP_FIN 120
        08 00 06 00 2c 01 00 00  // TIMEOUT_UDP 300
    )")));
}

BOOST_AUTO_TEST_CASE(idle_tcp_service) {
    BOOST_TEST(service_message(web_service()) == to_hex(hex(R"(
        40 01 00 00 25 00 02 00 03 00 00 00 34 12 00 00
        01 01 00 00                          // NEW_SERVICE
        2c 01 01 00                          // SERVICE
        06 00 01 00 02 00 00 00              // AF
        06 00 02 00 06 00 00 00              // PROTOCOL
        14 00 03 00 0a 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00  // ADDR
        06 00 04 00 00 50 00 00              // PORT
        07 00 06 00 72 72 00 00              // SCHED_NAME
        0c 00 07 00 02 00 00 00 ff ff ff ff  // FLAGS
        08 00 08 00 00 00 00 00              // TIMEOUT
        08 00 09 00 ff ff ff ff              // NETMASK
        5c 00 0a 00                          // STATS
        08 00 01 00 00 00 00 00  08 00 02 00 00 00 00 00  08 00 03 00 00 00 00 00
        0c 00 04 00 00 00 00 00 00 00 00 00  0c 00 05 00 00 00 00 00 00 00 00 00
        08 00 06 00 00 00 00 00  08 00 07 00 00 00 00 00  08 00 08 00 00 00 00 00
        08 00 09 00 00 00 00 00  08 00 0a 00 00 00 00 00
        7c 00 0c 00                          // STATS64
        0c 00 01 00 00 00 00 00 00 00 00 00  0c 00 02 00 00 00 00 00 00 00 00 00
        0c 00 03 00 00 00 00 00 00 00 00 00  0c 00 04 00 00 00 00 00 00 00 00 00
        0c 00 05 00 00 00 00 00 00 00 00 00  0c 00 06 00 00 00 00 00 00 00 00 00
        0c 00 07 00 00 00 00 00 00 00 00 00  0c 00 08 00 00 00 00 00 00 00 00 00
        0c 00 09 00 00 00 00 00 00 00 00 00  0c 00 0a 00 00 00 00 00 00 00 00 00
    )")));
}

BOOST_AUTO_TEST_CASE(a_mark_takes_the_place_of_protocol_address_and_port) {
    auto view = web_service();
    view.key = ipvs::FirewallMarkKey{ipvs::Family::inet6, 0x01020304};
    view.spec.scheduler = "wlc";
    view.spec.persistence_engine = "sip";
    view.spec.netmask = 64;
    const std::string message = service_message(view);
    BOOST_TEST(message.size() == 2U * (292 + 8));
    BOOST_TEST(message.starts_with(to_hex(hex(R"(
        2c 01 00 00 25 00 02 00 03 00 00 00 34 12 00 00
        01 01 00 00
        18 01 01 00                          // SERVICE
        06 00 01 00 0a 00 00 00              // AF
        08 00 05 00 04 03 02 01              // FWMARK
        08 00 06 00 77 6c 63 00              // SCHED_NAME
        08 00 0b 00 73 69 70 00              // PE_NAME
        0c 00 07 00 02 00 00 00 ff ff ff ff  // FLAGS
        08 00 08 00 00 00 00 00              // TIMEOUT
        08 00 09 00 40 00 00 00              // NETMASK: a prefix length
    )"))));
}

BOOST_AUTO_TEST_CASE(the_old_statistics_keep_the_low_32_bits) {
    auto view = web_service();
    view.statistics.totals = {
        .connections = 0x1'0000'0001,
        .in_packets = 0x2'0000'0002,
        .out_packets = 3,
        .in_bytes = 0x4'0000'0004,
        .out_bytes = 5};
    view.statistics.rates = {
        .connections = 6,
        .in_packets = 7,
        .out_packets = 8,
        .in_bytes = 0x9'0000'0009,
        .out_bytes = 10};
    BOOST_TEST(service_message(view).ends_with(to_hex(hex(R"(
        5c 00 0a 00
        08 00 01 00 01 00 00 00  08 00 02 00 02 00 00 00  08 00 03 00 03 00 00 00
        0c 00 04 00 04 00 00 00 04 00 00 00  0c 00 05 00 05 00 00 00 00 00 00 00
        08 00 06 00 06 00 00 00  08 00 07 00 07 00 00 00  08 00 08 00 08 00 00 00
        08 00 09 00 09 00 00 00  08 00 0a 00 0a 00 00 00
        7c 00 0c 00
        0c 00 01 00 01 00 00 00 01 00 00 00  0c 00 02 00 02 00 00 00 02 00 00 00
        0c 00 03 00 03 00 00 00 00 00 00 00  0c 00 04 00 04 00 00 00 04 00 00 00
        0c 00 05 00 05 00 00 00 00 00 00 00  0c 00 06 00 06 00 00 00 00 00 00 00
        0c 00 07 00 07 00 00 00 00 00 00 00  0c 00 08 00 08 00 00 00 00 00 00 00
        0c 00 09 00 09 00 00 00 09 00 00 00  0c 00 0a 00 0a 00 00 00 00 00 00 00
    )"))));
}

BOOST_AUTO_TEST_CASE(destination) {
    ipvs::DestinationView view{.spec = {}, .statistics = {}};
    view.spec.key = {"10.0.0.11"_ip, ipvs::Port{std::uint16_t{8080}}};
    view.spec.forwarding = 0;
    view.spec.weight = 1;
    netlink::Datagram datagram;
    ipvs_genl::append_destination(datagram, dump, view);
    BOOST_TEST(datagram.size() == 356U);
    BOOST_TEST(to_hex(datagram).starts_with(to_hex(hex(R"(
        64 01 00 00 25 00 02 00 03 00 00 00 34 12 00 00
        05 01 00 00              // NEW_DEST
        50 01 02 00              // DEST
        14 00 01 00 0a 00 00 0b 00 00 00 00 00 00 00 00 00 00 00 00  // ADDR
        06 00 02 00 1f 90 00 00  // PORT
        08 00 03 00 00 00 00 00  // FWD_METHOD
        08 00 04 00 01 00 00 00  // WEIGHT
        05 00 0d 00 00 00 00 00  // TUN_TYPE
        06 00 0e 00 00 00 00 00  // TUN_PORT
        06 00 0f 00 00 00 00 00  // TUN_FLAGS
        08 00 05 00 00 00 00 00  // U_THRESH
        08 00 06 00 00 00 00 00  // L_THRESH
        08 00 07 00 00 00 00 00  // ACTIVE_CONNS
        08 00 08 00 00 00 00 00  // INACT_CONNS
        08 00 09 00 00 00 00 00  // PERSIST_CONNS
        06 00 0b 00 02 00 00 00  // ADDR_FAMILY
        5c 00 0a 00              // STATS
        08 00 01 00 00 00 00 00 08 00 02 00 00 00 00 00 08 00 03 00 00 00 00 00 0c 00 04 00
    )"))));
}

BOOST_AUTO_TEST_CASE(a_timeout_that_is_too_long_for_jiffies_wraps) {
    struct {
        std::uint32_t seconds;
        std::uint32_t listed;
    } const rows[] = {{300, 300}, {17179869, 17179869}, {17179870, 0}, {0xFFFFFFFF, 0x010624DC}};
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.seconds) {
            BOOST_TEST(nlvs::procfs::kept_seconds(row.seconds) == row.listed);
        }
    }
}

BOOST_AUTO_TEST_CASE(every_field_of_a_destination_has_its_place) {
    ipvs::DestinationView view{.spec = {}, .statistics = {}};
    view.spec = {
        .key = {"2001:db8::11"_ip, ipvs::Port{std::uint16_t{53}}},
        .forwarding = 2,
        .weight = -2,
        .upper_threshold = 100,
        .lower_threshold = 50,
        .tunnel = {ipvs::TunnelType::gue, ipvs::Port{std::uint16_t{6080}}, 3},
    };
    view.active_connections = 7;
    view.inactive_connections = 8;
    view.persistent_connections = 9;
    netlink::Datagram datagram;
    ipvs_genl::append_destination(datagram, dump, view);
    BOOST_TEST(to_hex(datagram).substr(2 * 24, 2 * 128) == to_hex(hex(R"(
        14 00 01 00 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 11
        06 00 02 00 00 35 00 00
        08 00 03 00 02 00 00 00
        08 00 04 00 fe ff ff ff
        05 00 0d 00 01 00 00 00
        06 00 0e 00 17 c0 00 00
        06 00 0f 00 03 00 00 00
        08 00 05 00 64 00 00 00
        08 00 06 00 32 00 00 00
        08 00 07 00 07 00 00 00
        08 00 08 00 08 00 00 00
        08 00 09 00 09 00 00 00
        06 00 0b 00 0a 00 00 00
        5c 00 0a 00 08 00 01 00 00 00 00 00
    )")));
}

BOOST_AUTO_TEST_CASE(sync_daemon) {
    netlink::Datagram datagram;
    ipvs_genl::append_daemon(
        datagram,
        dump,
        {.state = 1,
         .interface = "eth0",
         .sync_id = 5,
         .max_length = 1472,
         .group = "224.0.0.81"_ip,
         .port = 8848,
         .ttl = 1}
    );
    BOOST_TEST(to_hex(datagram) == to_hex(hex(R"(
        54 00 00 00 25 00 02 00 03 00 00 00 34 12 00 00
        09 01 00 00                          // NEW_DAEMON
        40 00 03 00                          // DAEMON
        08 00 01 00 01 00 00 00              // STATE
        09 00 02 00 65 74 68 30 00 00 00 00  // MCAST_IFN
        08 00 03 00 05 00 00 00              // SYNC_ID
        06 00 04 00 c0 05 00 00              // SYNC_MAXLEN
        06 00 07 00 90 22 00 00              // MCAST_PORT, host order
        05 00 08 00 01 00 00 00              // MCAST_TTL
        08 00 05 00 e0 00 00 51              // MCAST_GROUP
    )")));
}

BOOST_AUTO_TEST_CASE(an_ipv6_group_has_an_attribute_of_its_own) {
    netlink::Datagram datagram;
    ipvs_genl::append_daemon(
        datagram,
        dump,
        {.state = 2,
         .interface = "lo",
         .sync_id = 0,
         .max_length = 1452,
         .group = "ff15::81"_ip,
         .port = 9001,
         .ttl = 2}
    );
    BOOST_TEST(to_hex(datagram).ends_with(
        to_hex(hex("14 00 06 00 ff 15 00 00 00 00 00 00 00 00 00 00 00 00 00 81"))
    ));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
