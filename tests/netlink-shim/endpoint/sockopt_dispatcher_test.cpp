#include "netlink-shim/endpoint/sockopt_dispatcher.hpp"

#include "compat/ipvs_sockopt/layout.hpp"
#include "compat/net/ip_address.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/fake_control.hpp"
#include "tests/support/hex.hpp"
#include "tests/support/printing.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>

#include <boost/test/unit_test.hpp>

namespace {

using namespace nlvs;
using net::operator""_ip;
using test::hex;
using test::to_hex;

struct Fixture {
    int set(std::uint32_t option, const std::string& digits) {
        const auto argument = hex(digits);
        const auto result = dispatcher.handle(
            {.is_get = false,
             .option = option,
             .length = static_cast<std::uint32_t>(argument.size()),
             .argument = argument}
        );
        BOOST_TEST(result.bytes.empty());
        return result.error;
    }

    shim::SockoptResult get(std::uint32_t option, std::uint32_t length, const std::string& digits) {
        const auto argument = hex(digits);
        return dispatcher.handle(
            {.is_get = true, .option = option, .length = length, .argument = argument}
        );
    }

    test::FakeControl control;
    shim::SockoptDispatcher dispatcher{control};
};

const std::string web =                                // a service_user
    "06 00 00 00 0a 00 00 01 00 50 00 00 00 00 00 00"  // TCP 10.0.0.1:80, no mark
    "72 72 00 00 00 00 00 00 00 00 00 00 00 00 00 00"  // "rr"
    "00 00 00 00 00 00 00 00 ff ff ff ff";             // flags, timeout, netmask
const std::string server =                             // a dest_user
    "0a 00 00 0b 00 50 00 00 00 20 01 00 01 00 00 00 00 00 00 00 00 00 00 00";
const std::string daemon = "01 00 00 00 65 74 68 30" + std::string(24, '0') + "05 00 00 00";
const std::string zeros64(128, '0');

std::string with(std::string digits, std::size_t offset, const std::string& replacement) {
    std::erase(digits, ' ');
    return digits.replace(2 * offset, replacement.size(), replacement);
}

BOOST_FIXTURE_TEST_SUITE(sockopt_dispatcher, Fixture)

BOOST_AUTO_TEST_CASE(a_session_of_ipvsadm_is_answered_as_by_linux) {
    std::ifstream file{test::corpus() / "sockopt/ipvsadm.txt"};
    std::size_t calls = 0;
    std::size_t number = 0;
    for (std::string line; std::getline(file, line);) {
        ++number;
        std::istringstream words{line};
        std::string kind;
        std::uint32_t option = 0;
        std::uint32_t length = 0;
        std::string digits;
        int error = 0;
        words >> kind >> option >> length >> digits >> error;
        if (kind != "set" && kind != "get") continue;
        ++calls;
        BOOST_TEST_CONTEXT("line " << number) {
            if (kind == "set") {
                BOOST_TEST(set(option, digits == "-" ? "" : digits) == error);
            } else {
                const auto result =
                    get(option, length, digits.substr(0, 2 * std::min(length, 128U)));
                BOOST_TEST(result.error == error);
                BOOST_TEST(to_hex(result.bytes) == digits);
            }
        }
    }
    BOOST_TEST(calls == 71U);
}

BOOST_AUTO_TEST_CASE(lengths_and_numbers_are_judged_before_contents) {
    const struct {
        const char* name;
        bool is_get;
        std::uint32_t option;
        std::uint32_t length;
        int expected;
    } rows[]{
        {"below the range", false, 1151, 0, ENOPROTOOPT},
        {"set above the range", false, 1168, 44, ENOPROTOOPT},
        {"get above the range", true, 1160, 64, ENOPROTOOPT},
        {"largest number", true, 0xFFFFFFFF, 64, ENOPROTOOPT},
        {"NONE", false, 1152, 0, EINVAL},
        {"INSERT", false, 1153, 0, EINVAL},
        {"LIST", false, 1158, 0, EINVAL},
        {"SAVE", false, 1166, 0, EINVAL},
        {"ADD too short", false, 1154, 43, EINVAL},
        {"ADD too long", false, 1154, 45, EINVAL},
        {"FLUSH with an argument", false, 1157, 4, EINVAL},
        {"VERSION too short", true, 1152, 63, EINVAL},
        {"INFO too short", true, 1153, 11, EINVAL},
        {"INFO with a negative length", true, 1153, 0x80000000, EINVAL},
        {"DEST does not exist", true, 1157, 64, EINVAL},
        {"DAEMON too short", true, 1159, 47, EINVAL},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto argument = hex(zeros64);
            const auto result = dispatcher.handle({
                .is_get = row.is_get,
                .option = row.option,
                .length = row.length,
                .argument = std::span{argument}.first(std::min<std::size_t>(row.length, 64)),
            });
            BOOST_TEST(result.error == row.expected);
            BOOST_TEST(result.bytes.empty());
        }
    }
    BOOST_TEST(
        dispatcher.handle({.is_get = false, .option = 1154, .length = 44, .argument = {}}).error ==
        EFAULT
    );
}

BOOST_AUTO_TEST_CASE(errors_are_those_of_this_door) {
    BOOST_TEST(set(IP_VS_SO_SET_ADD, web) == 0);
    BOOST_TEST(set(IP_VS_SO_SET_ADDDEST, web + server) == 0);

    const struct {
        const char* name;
        std::uint32_t option;
        std::string argument;
        int expected;
    } rows[]{
        {"service exists", IP_VS_SO_SET_ADD, web, EEXIST},
        {"protocol other than TCP, UDP, SCTP", IP_VS_SO_SET_ADD, with(web, 0, "0100"), EFAULT},
        {"the same with a mark",
         IP_VS_SO_SET_ADD,
         with(with(web, 0, "0100"), 12, "07000000"),
         EFAULT},
        {"scheduler without NUL before bad protocol",
         IP_VS_SO_SET_ADD,
         with(with(web, 0, "0100"), 16, "61616161616161616161616161616161"),
         EINVAL},
        {"unknown scheduler", IP_VS_SO_SET_ADD, with(with(web, 4, "0a000002"), 16, "7171"), ENOENT},
        {"edit a missing service", IP_VS_SO_SET_EDIT, with(web, 4, "0a000002"), ESRCH},
        {"delete a missing service", IP_VS_SO_SET_DEL, with(web, 8, "0051"), ESRCH},
        {"delete by another protocol", IP_VS_SO_SET_DEL, with(web, 0, "1100"), ESRCH},
        {"zero a missing service", IP_VS_SO_SET_ZERO, with(web, 8, "0051"), ESRCH},
        {"destination exists", IP_VS_SO_SET_ADDDEST, web + server, EEXIST},
        {"destination of a missing service",
         IP_VS_SO_SET_ADDDEST,
         with(web, 8, "0051") + server,
         ESRCH},
        {"edit a missing destination",
         IP_VS_SO_SET_EDITDEST,
         web + with(server, 4, "0051"),
         ENOENT},
        {"negative weight", IP_VS_SO_SET_EDITDEST, web + with(server, 12, "ffffffff"), ERANGE},
        {"negative timeout", IP_VS_SO_SET_TIMEOUT, "ffffffff 00000000 00000000", EINVAL},
        {"daemon without interface", IP_VS_SO_SET_STARTDAEMON, with(daemon, 4, "00"), EINVAL},
        {"daemon, interface without NUL",
         IP_VS_SO_SET_STARTDAEMON,
         with(daemon, 4, "61616161616161616161616161616161"),
         EINVAL},
        {"daemon, no such interface", IP_VS_SO_SET_STARTDAEMON, with(daemon, 4, "6161"), ENODEV},
        {"daemon not running", IP_VS_SO_SET_STOPDAEMON, daemon, ESRCH},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            BOOST_TEST(set(row.option, row.argument) == row.expected);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_destination_keeps_the_method_of_its_flags) {
    BOOST_TEST(set(IP_VS_SO_SET_ADD, web) == 0);
    BOOST_TEST(set(IP_VS_SO_SET_ADDDEST, web + with(server, 8, "03200100")) == 0);
    const ipvs::DestinationSpec expected{
        .key = {"10.0.0.11"_ip, ipvs::Port{std::uint16_t{80}}},
        .forwarding = 3,
        .weight = 1,
        .tunnel = {},
        .flags = ipvs::DestinationFlags::all};
    BOOST_TEST(control.services[0].destinations.at(0).second.spec == expected);
}

BOOST_AUTO_TEST_CASE(a_destination_keeps_one_packet_and_conntrack_and_no_other_flag) {
    BOOST_TEST(set(IP_VS_SO_SET_ADD, web) == 0);
    BOOST_TEST(set(IP_VS_SO_SET_ADDDEST, web + with(server, 8, "ffffffff")) == 0);
    BOOST_TEST(set(IP_VS_SO_SET_EDITDEST, web + with(server, 8, "00200100")) == 0);
    const auto flags_listed = [this] {
        const auto listed =
            get(IP_VS_SO_GET_DESTS, 120, "06000000 0a000001 00500000 00000000 01000000 00000000");
        return to_hex(std::span{listed.bytes}.subspan(24 + 8, 4));
    };
    BOOST_TEST(control.services[0].destinations.at(0).second.spec.flags == 0x12000U);
    BOOST_TEST(flags_listed() == "00210100");  // with INACTIVE
    BOOST_TEST(set(IP_VS_SO_SET_EDITDEST, web + with(server, 8, "03000000")) == 0);
    BOOST_TEST(flags_listed() == "83010000");  // with INACTIVE and NOOUTPUT
}

// Linux: do_ip_vs_set_ctl compares the protocol, do_ip_vs_get_ctl does not.
BOOST_AUTO_TEST_CASE(a_service_by_mark_keeps_the_protocol_it_was_added_with) {
    const std::string mark = with(web, 12, "07000000");
    const std::string udp = with(mark, 0, "1100");
    BOOST_TEST(set(IP_VS_SO_SET_ADD, udp) == 0);
    BOOST_TEST(set(IP_VS_SO_SET_ADD, mark) == EEXIST);
    for (const std::uint32_t option :
         {IP_VS_SO_SET_EDIT, IP_VS_SO_SET_ZERO, IP_VS_SO_SET_DEL}) {
        BOOST_TEST(set(option, mark) == ESRCH);
    }
    BOOST_TEST(set(IP_VS_SO_SET_ADDDEST, mark + server) == ESRCH);
    BOOST_TEST(set(IP_VS_SO_SET_ADDDEST, udp + server) == 0);
    BOOST_TEST(set(IP_VS_SO_SET_EDIT, with(udp, 4, "0a000002")) == 0);

    const std::string by_tcp = "06000000 00000000 00000000 07000000 ";
    const auto listed = get(IP_VS_SO_GET_SERVICE, 104, by_tcp + std::string(176, '0'));
    BOOST_TEST(listed.error == 0);
    BOOST_TEST(
        to_hex(std::span{listed.bytes}.first(16)) == "11000000" "0a000001" "00500000" "07000000"
    );
    BOOST_TEST(get(IP_VS_SO_GET_DESTS, 120, by_tcp + "01000000 00000000").bytes.size() == 120U);
    BOOST_TEST(set(IP_VS_SO_SET_DEL, udp) == 0);
}

BOOST_AUTO_TEST_CASE(a_service_by_mark_of_netlink_is_tcp_here) {
    ipvs::ServiceSpec spec;
    spec.scheduler = "rr";
    const ipvs::ServiceKey key = ipvs::FirewallMarkKey{ipvs::Family::inet, 7};
    BOOST_TEST(control.add_service(key, spec).has_value());
    const std::string mark = with(web, 12, "07000000");
    BOOST_TEST(set(IP_VS_SO_SET_DEL, with(mark, 0, "1100")) == ESRCH);
    BOOST_TEST(set(IP_VS_SO_SET_DEL, mark) == 0);
}

BOOST_AUTO_TEST_CASE(zero_means_everything_only_when_nothing_is_named) {
    BOOST_TEST(set(IP_VS_SO_SET_ADD, web) == 0);
    BOOST_TEST(set(IP_VS_SO_SET_ZERO, zeros64.substr(0, 88)) == 0);
    BOOST_TEST(set(IP_VS_SO_SET_ZERO, web) == 0);
    BOOST_TEST_REQUIRE(control.zeroed.size() == 2U);
    BOOST_TEST(!control.zeroed[0].has_value());
    BOOST_TEST(control.zeroed[1].has_value());
}

BOOST_AUTO_TEST_CASE(version_is_a_text_with_its_nul) {
    const auto result = get(IP_VS_SO_GET_VERSION, 64, zeros64);
    BOOST_TEST(result.error == 0);
    BOOST_TEST(
        to_hex(result.bytes) ==
        to_hex(std::as_bytes(std::span{"IP Virtual Server version 1.2.1 (size=4096)"}))
    );
}

BOOST_AUTO_TEST_CASE(listings_show_ipv4_and_no_more_than_asked_for) {
    BOOST_TEST(set(IP_VS_SO_SET_ADD, web) == 0);
    BOOST_TEST(set(IP_VS_SO_SET_ADD, with(web, 4, "0a000002")) == 0);
    const ipvs::EndpointKey v6{6, "2001:db8::1"_ip, ipvs::Port{std::uint16_t{80}}};
    ipvs::ServiceSpec spec;
    spec.scheduler = "rr";
    spec.netmask = 128;
    BOOST_TEST(control.add_service(v6, spec).has_value());
    const ipvs::ServiceKey first = control.services[0].view.key;
    for (const auto& address : {"10.0.0.11"_ip, "2001:db8::11"_ip, "10.0.0.12"_ip}) {
        ipvs::DestinationSpec destination;
        destination.key = {address, ipvs::Port{std::uint16_t{80}}};
        destination.forwarding = 2;
        BOOST_TEST(control.add_destination(first, destination).has_value());
    }
    const std::string named = "06000000 0a000001 00500000 00000000 ";

    const struct {
        const char* name;
        std::uint32_t option;
        std::uint32_t length;
        std::string argument;
        int error;
        std::size_t size;
    } rows[]{
        {"none", IP_VS_SO_GET_SERVICES, 8, "00000000 00000000", 0, 8},
        {"cut", IP_VS_SO_GET_SERVICES, 112, "01000000 00000000", 0, 112},
        {"both", IP_VS_SO_GET_SERVICES, 216, "02000000 00000000", 0, 216},
        {"tail not written", IP_VS_SO_GET_SERVICES, 320, "03000000 00000000", 0, 216},
        {"length does not agree", IP_VS_SO_GET_SERVICES, 215, "02000000 00000000", EINVAL, 0},
        {"count that overflows", IP_VS_SO_GET_SERVICES, 8, "00000080 00000000", EINVAL, 0},
        {"destinations cut", IP_VS_SO_GET_DESTS, 120, named + "01000000 00000000", 0, 120},
        {"destinations of IPv4", IP_VS_SO_GET_DESTS, 312, named + "03000000 00000000", 0, 216},
        {"destinations, length", IP_VS_SO_GET_DESTS, 121, named + "01000000 00000000", EINVAL, 0},
        {"destinations, no service",
         IP_VS_SO_GET_DESTS,
         24,
         with(named, 8, "0051") + "00000000 00000000",
         ESRCH,
         0},
        {"service", IP_VS_SO_GET_SERVICE, 104, named + std::string(176, '0'), 0, 104},
        {"no service", IP_VS_SO_GET_SERVICE, 104, std::string(208, '0'), ESRCH, 0},
        {"information", IP_VS_SO_GET_INFO, 12, std::string(24, '0'), 0, 12},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto result = get(row.option, row.length, row.argument);
            BOOST_TEST(result.error == row.error);
            BOOST_TEST(result.bytes.size() == row.size);
        }
    }
    BOOST_TEST(
        to_hex(get(IP_VS_SO_GET_INFO, 12, std::string(24, '0')).bytes) == "010201000010000002000000"
    );
}

// Recorded from Linux 6.1: padding and what follows the scheduler's NUL are the caller's.
BOOST_AUTO_TEST_CASE(a_service_is_written_over_what_the_caller_passed) {
    BOOST_TEST(set(IP_VS_SO_SET_ADD, web) == 0);
    std::string passed = "06000000 0a000001 00500000 00000000 ";
    for (int i = 0; i < 88; ++i) passed += "aa";
    BOOST_TEST(to_hex(get(IP_VS_SO_GET_SERVICE, 104, passed).bytes) == to_hex(hex(R"(
        06 00 00 00 0a 00 00 01 00 50 00 00 00 00 00 00
        72 72 00 aa aa aa aa aa aa aa aa aa aa aa aa aa  // "rr"
        02 00 00 00 00 00 00 00 ff ff ff ff              // flags, timeout, netmask
        00 00 00 00                                      // destinations
        00 00 00 00 00 00 00 00 00 00 00 00 aa aa aa aa  // connections, packets
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  // bytes
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 aa aa aa aa  // rates
    )")));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
