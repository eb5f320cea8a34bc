// What a kernel's sync master sent (record.py): it is understood, and said again byte for byte.

#include <boost/test/unit_test.hpp>

#include <fstream>
#include <string>
#include <vector>

#include "compat/ipvs_sync/decoder.hpp"
#include "compat/ipvs_sync/message_builder.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/hex.hpp"

namespace nlvs::ipvs_sync {
namespace {

using net::operator""_ip;

constexpr std::uint32_t recorded_id = 21;
constexpr std::uint8_t tcp = 6;
constexpr std::uint8_t udp = 17;

std::vector<std::vector<std::byte>> recorded(const std::string& name) {
    std::ifstream file{test::corpus() / "sync" / name};
    std::vector<std::vector<std::byte>> messages;
    for (std::string line; std::getline(file, line);) messages.push_back(test::hex(line));
    BOOST_TEST_REQUIRE(!messages.empty());
    return messages;
}

std::vector<Connection> connections_of(const std::vector<std::byte>& message) {
    std::vector<Connection> result;
    const auto decoded = decode(message, recorded_id, [&](const Connection& connection) {
        result.push_back(connection);
    });
    BOOST_TEST((decoded.verdict == Verdict::taken));
    BOOST_TEST(decoded.skipped == 0U);
    BOOST_TEST(decoded.shown == result.size());
    return result;
}

net::Port port(std::uint16_t number) { return net::Port{number}; }

/// From port `source` of the recording client to port 80 of the virtual address.
Connection from(std::uint16_t source, std::uint8_t protocol, bool v6 = false) {
    Connection connection;
    connection.protocol = protocol;
    connection.client = v6 ? "2001:db8::100"_ip : "10.0.0.100"_ip;
    connection.virtual_address = v6 ? "2001:db8::10"_ip : "10.0.0.10"_ip;
    connection.destination = v6 ? "2001:db8:1::2"_ip : "192.168.1.2"_ip;
    connection.client_port = port(source);
    connection.virtual_port = port(80);
    connection.destination_port = port(80);
    connection.state = protocol == tcp ? 1 : 0;
    connection.flags = protocol == tcp ? 0 : Flags::inactive;
    connection.timeout = protocol == tcp ? 900 : 300;
    return connection;
}

BOOST_AUTO_TEST_SUITE(recorded_messages_test)

BOOST_AUTO_TEST_CASE(connections_of_both_families_and_protocols) {
    const auto messages = recorded("plain");
    const auto seen = connections_of(messages[0]);
    const std::vector<Connection> expected{
        from(40001, tcp), from(40001, udp), from(40002, tcp, true), from(40002, udp, true)
    };
    BOOST_TEST((seen == expected));
}

BOOST_AUTO_TEST_CASE(the_old_version_knows_no_timeouts_and_no_ipv6) {
    const auto messages = recorded("old-version");
    auto expected = std::vector{from(40005, tcp), from(40005, udp)};
    for (Connection& connection : expected) connection.timeout = 0;
    BOOST_TEST((connections_of(messages[0]) == expected));
}

BOOST_AUTO_TEST_CASE(ends_of_connections) {
    const auto seen = connections_of(recorded("ends")[0]);
    BOOST_TEST_REQUIRE(seen.size() == 5U);
    const std::vector<std::uint16_t> states{1, 7, 1, 5, 6};
    for (std::size_t i = 0; i < seen.size(); ++i) {
        BOOST_TEST(seen[i].state == states[i]);
        BOOST_TEST((seen[i].flags == Flags::inactive) == (seen[i].state != 1));
    }
}

BOOST_AUTO_TEST_CASE(templates_of_a_firewall_mark) {
    const auto seen = connections_of(recorded("marked")[0]);
    BOOST_TEST_REQUIRE(!seen.empty());
    const Connection& first = seen.front();
    BOOST_TEST(first.is_template());
    BOOST_TEST(first.protocol == 0U);
    BOOST_TEST(first.firewall_mark == 7U);
    BOOST_TEST((first.virtual_address == "0.0.0.7"_ip));
    BOOST_TEST(seen[2].firewall_mark == 7U);
    BOOST_TEST(!seen[2].is_template());
}

BOOST_AUTO_TEST_CASE(templates_of_calls) {
    const auto messages = recorded("calls");  // whose bytes the names are views of
    const auto seen = connections_of(messages[0]);
    BOOST_TEST_REQUIRE(!seen.empty());
    BOOST_TEST(seen.front().engine == "sip");
    BOOST_TEST(seen.front().engine_data == "1234@10.0.0.100");
    BOOST_TEST((seen.front().virtual_port == port(5060)));
}

BOOST_AUTO_TEST_CASE(forwarding_methods_show_in_the_flags) {
    const auto seen = connections_of(recorded("persistent-direct")[0]);
    BOOST_TEST_REQUIRE(!seen.empty());
    BOOST_TEST(
        seen.front().flags ==
        (Flags::persistence_template | Flags::inactive | Flags::no_output | 3)
    );
}

BOOST_AUTO_TEST_CASE(said_again_every_message_is_the_same) {
    for (const char* name : {"plain", "old-version", "ends", "persistent", "marked", "calls",
                             "direct", "persistent-direct"}) {
        BOOST_TEST_CONTEXT(name) {
            const auto version =
                std::string_view{name} == "old-version" ? Version::v0 : Version::v1;
            for (const auto& message : recorded(name)) {
                MessageBuilder builder{1472, recorded_id};
                for (const Connection& connection : connections_of(message)) {
                    BOOST_TEST(builder.add(connection, version));
                }
                BOOST_TEST(test::to_hex(builder.take()) == test::to_hex(message));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(what_a_backup_does_not_believe_is_dropped_from_the_flags) {
    // With the FTP helper the kernel says that conntrack takes part: bit 16.
    for (const Connection& connection : connections_of(recorded("transfer")[0])) {
        BOOST_TEST((connection.flags & ~Flags::kept) == 0U);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nlvs::ipvs_sync
