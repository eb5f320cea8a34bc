#include "forwarding/applications/ftp_text.hpp"

#include <array>
#include <initializer_list>
#include <string>
#include <string_view>

#include <boost/test/unit_test.hpp>

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
constexpr auto v4 = net::Family::inet;
constexpr auto v6 = net::Family::inet6;

std::string printed(FtpMode mode, const net::IpAddress& address, std::uint16_t port) {
    std::array<char, ftp_endpoint_length> buffer{};
    const std::size_t length = print_ftp_endpoint(mode, {address, net::Port{port}}, buffer);
    return {buffer.data(), length};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(ftp_text_test)

BOOST_AUTO_TEST_CASE(passive_requests_count_wherever_they_stand) {
    struct {
        std::string_view text;
        net::Family family;
        FtpMode mode;
    } const rows[] = {
        {"PASV\r\n", v4, FtpMode::passive},
        {"pasv\r\n", v4, FtpMode::passive},
        {"SYST\r\nPASV\r\nLIST\r\n", v4, FtpMode::passive},
        {"PASV\r\n", v6, FtpMode::unknown},
        {"PASV\n", v4, FtpMode::unknown},
        {"PASV \r\n", v4, FtpMode::unknown},
        {"EPSV\r\n", v4, FtpMode::extended_passive},
        {"EPSV\r\n", v6, FtpMode::extended_passive},
        {"EPSV 1\r\n", v4, FtpMode::extended_passive},
        {"EPSV 2\r\n", v6, FtpMode::extended_passive},
        {"EPSV 2\r\n", v4, FtpMode::unknown},
        {"EPSV ALL\r\n", v4, FtpMode::unknown},
        {"EPSV", v4, FtpMode::unknown},
        {"NOOP\r\n", v4, FtpMode::unknown},
        {"", v4, FtpMode::unknown},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.text) {
            BOOST_TEST((read_ftp_request(row.text, row.family).mode == row.mode));
        }
    }
}

BOOST_AUTO_TEST_CASE(active_requests_say_where_the_client_waits) {
    struct {
        std::string_view text;
        net::Family family;
        std::string_view address;
        std::uint16_t port;
    } const rows[] = {
        {"PORT 10,0,0,100,156,65\r\n", v4, "10.0.0.100", 40001},
        {"port   10,0,0,100,0,21\r\n", v4, "10.0.0.100", 21},
        {"EPRT |1|10.0.0.100|40001|\r\n", v4, "10.0.0.100", 40001},
        {"EPRT !1!10.0.0.100!40001!\r\n", v4, "10.0.0.100", 40001},
        {"EPRT |2|2001:db8::100|40001|\r\n", v6, "2001:db8::100", 40001},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.text) {
            const FtpRequest request = read_ftp_request(row.text, row.family);
            BOOST_TEST_REQUIRE((request.mode == FtpMode::active));
            BOOST_TEST((request.client.address == *net::parse_ip_address(row.address)));
            BOOST_TEST(request.client.port.host() == row.port);
        }
    }
}

BOOST_AUTO_TEST_CASE(what_is_not_quite_an_active_request_is_none) {
    for (const std::string_view text : std::initializer_list<std::string_view>{
             "PORT 10,0,0,100,156\r\n", "PORT 10,0,0,100,156,65", "PORT 10,0,0,256,1,1\r\n",
             "PORT \r\n", "PORT", "NOOP\r\nPORT 10,0,0,100,156,65\r\n",
             "EPRT |2|2001:db8::100|40001|\r\n", "EPRT |1|10.0.0|40001|\r\n",
             "EPRT |1|10.0.0.100|0|\r\n", "EPRT |1|10.0.0.100|65536|\r\n",
             "EPRT |1|10.0.0.100|40001\r\n", "EPRT |||40001|\r\n", "EPRT ", "EPRT |", "EPRT |1|"}) {
        BOOST_TEST_CONTEXT(text) {
            BOOST_TEST((read_ftp_request(text, v4).mode == FtpMode::unknown));
        }
    }
}

BOOST_AUTO_TEST_CASE(replies_say_where_the_server_waits) {
    const auto server = "192.168.1.2"_ip;
    struct {
        std::string_view text;
        FtpMode mode;
        std::string_view part;
        std::uint16_t port;
    } const rows[] = {
        {"227 Entering Passive Mode (192,168,1,2,4,1).\r\n", FtpMode::passive, "192,168,1,2,4,1", 1025},
        {"227 Entering Passive Mode 192,168,1,2,4,1\r\n", FtpMode::passive, "192,168,1,2,4,1", 1025},
        {"229 Entering Extended Passive Mode (|||1025|)\r\n", FtpMode::extended_passive, "|||1025|", 1025},
        {"229 x (|1|192.168.1.2|1025|)\r\n", FtpMode::extended_passive, "|1|192.168.1.2|1025|", 1025},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.text) {
            const auto reply = read_ftp_reply(row.text, row.mode, server);
            BOOST_TEST_REQUIRE(reply.has_value());
            BOOST_TEST(row.text.substr(reply->begin, reply->end - reply->begin) == row.part);
            BOOST_TEST((reply->server.address == server));
            BOOST_TEST(reply->server.port.host() == row.port);
        }
    }
    const auto v6_reply =
        read_ftp_reply("229 x (|||1025|)\r\n", FtpMode::extended_passive, "2001:db8::2"_ip);
    BOOST_TEST_REQUIRE(v6_reply.has_value());
    BOOST_TEST((v6_reply->server.address == "2001:db8::2"_ip));
}

BOOST_AUTO_TEST_CASE(only_the_reply_that_the_client_asked_for_counts) {
    const auto server = "192.168.1.2"_ip;
    const std::string_view passive = "227 x (192,168,1,2,4,1)\r\n";
    const std::string_view extended = "229 x (|||1025|)\r\n";
    BOOST_TEST(!read_ftp_reply(passive, FtpMode::unknown, server).has_value());
    BOOST_TEST(!read_ftp_reply(passive, FtpMode::active, server).has_value());
    BOOST_TEST(!read_ftp_reply(passive, FtpMode::extended_passive, server).has_value());
    BOOST_TEST(!read_ftp_reply(extended, FtpMode::passive, server).has_value());
    BOOST_TEST(!read_ftp_reply("227 x (192,168,1,2,4", FtpMode::passive, server).has_value());
    BOOST_TEST(!read_ftp_reply("229 x (||1025|)\r\n", FtpMode::extended_passive, server).has_value());
    BOOST_TEST(!read_ftp_reply("229 x (", FtpMode::extended_passive, server).has_value());
    BOOST_TEST(!read_ftp_reply("226 done\r\n", FtpMode::passive, server).has_value());
}

BOOST_AUTO_TEST_CASE(every_part_of_a_text_is_read_without_harm) {
    const auto server = "192.168.1.2"_ip;
    for (const std::string_view text : std::initializer_list<std::string_view>{
             "PORT 10,0,0,100,156,65\r\n", "EPRT |1|10.0.0.100|40001|\r\n", "EPSV 1\r\n",
             "227 x (192,168,1,2,4,1)\r\n", "229 x (|1|192.168.1.2|1025|)\r\n"}) {
        for (std::size_t length = 0; length < text.size(); ++length) {
            // A copy of exactly that length, so that the sanitizer sees a read beyond it.
            const std::string part{text.substr(0, length)};
            static_cast<void>(read_ftp_request(part, v4));
            static_cast<void>(read_ftp_request(part, v6));
            static_cast<void>(read_ftp_reply(part, FtpMode::passive, server));
            static_cast<void>(read_ftp_reply(part, FtpMode::extended_passive, server));
        }
    }
}

BOOST_AUTO_TEST_CASE(announcements_are_printed_as_the_protocol_wants_them) {
    BOOST_TEST(printed(FtpMode::passive, "203.0.113.10"_ip, 1025) == "203,0,113,10,4,1");
    BOOST_TEST(printed(FtpMode::passive, "255.255.255.255"_ip, 65535) == "255,255,255,255,255,255");
    BOOST_TEST(printed(FtpMode::extended_passive, "2001:db8::10"_ip, 65535) == "|||65535|");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
