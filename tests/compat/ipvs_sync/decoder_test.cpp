#include "compat/ipvs_sync/decoder.hpp"

#include <boost/test/unit_test.hpp>

#include <random>
#include <vector>

#include "compat/ipvs_sync/message_builder.hpp"
#include "tests/support/hex.hpp"

namespace nlvs::ipvs_sync {
namespace {

using net::operator""_ip;
using test::hex;

constexpr const char* entry =
    "00 06 0024          // IPv4, TCP, version 0, 36 bytes\n"
    "00000000 0001       // flags, ESTABLISHED\n"
    "9c41 0050 1f90      // ports\n"
    "00000000 00000384   // mark, 900 s\n"
    "0a000064 0a00000a c0a80102\n";

/// A version-1 datagram of sync id 21 with `count` entries.
std::vector<std::byte> datagram(const std::string& entries, unsigned count = 1) {
    auto bytes = hex("00 15 0000 00 01 0000" + entries);
    bytes[2] = std::byte(bytes.size() >> 8);
    bytes[3] = std::byte(bytes.size());
    bytes[4] = std::byte(count);
    return bytes;
}

/// The entry with another length and more behind it.
std::string longer(const std::string& options) {
    std::string text{entry};
    const std::size_t size = 36 + hex(options).size();
    constexpr std::string_view digits = "0123456789abcdef";
    text.replace(text.find("0024"), 4, {'0', '0', digits[size >> 4], digits[size & 15]});
    return text + options;
}

Decoded outcome(const std::vector<std::byte>& bytes, std::uint32_t id = 21) {
    return decode(bytes, id, [](const Connection&) {});
}

std::vector<Connection> shown(const std::vector<std::byte>& bytes) {
    std::vector<Connection> result;
    decode(bytes, 21, [&](const Connection& connection) { result.push_back(connection); });
    return result;
}

BOOST_AUTO_TEST_SUITE(decoder_test)

BOOST_AUTO_TEST_CASE(an_entry_is_taken_apart) {
    const auto seen = shown(datagram(entry));
    BOOST_TEST_REQUIRE(seen.size() == 1U);
    BOOST_TEST((seen[0].client == "10.0.0.100"_ip));
    BOOST_TEST((seen[0].virtual_address == "10.0.0.10"_ip));
    BOOST_TEST((seen[0].destination == "192.168.1.2"_ip));
    BOOST_TEST(seen[0].client_port.host() == 40001);
    BOOST_TEST(seen[0].virtual_port.host() == 80);
    BOOST_TEST(seen[0].destination_port.host() == 8080);
    BOOST_TEST(seen[0].timeout == 900U);
    BOOST_TEST(!seen[0].sequences.has_value());
}

// Linux: ip_vs_process_message.
BOOST_AUTO_TEST_CASE(datagrams_for_others_and_cut_ones_are_ignored) {
    auto whole = datagram(entry);
    BOOST_TEST((outcome(whole).verdict == Verdict::taken));
    BOOST_TEST((outcome(whole, 0).verdict == Verdict::taken));
    BOOST_TEST((outcome(whole, 22).verdict == Verdict::not_ours));
    // An id above 255 is nobody's.
    BOOST_TEST((outcome(whole, 256 + 21).verdict == Verdict::not_ours));
    whole.pop_back();
    BOOST_TEST((outcome(whole).verdict == Verdict::malformed));
    BOOST_TEST((outcome({}).verdict == Verdict::malformed));
    BOOST_TEST((outcome(hex("00 15 0003")).verdict == Verdict::malformed));
    BOOST_TEST((outcome(hex("00 15 0004")).verdict == Verdict::taken));
}

BOOST_AUTO_TEST_CASE(the_rest_of_a_datagram_falls_with_a_malformed_entry) {
    struct {
        const char* name;
        std::string second;
    } const rows[] = {
        {"a type nobody knows", "02" + std::string{entry}.substr(2)},
        {"a version nobody knows", "00 06 1024" + std::string{entry}.substr(10)},
        {"longer than the datagram", "00 06 0040" + std::string{entry}.substr(10)},
        {"shorter than itself", "00 06 0023" + std::string{entry}.substr(10)},
        {"IPv6 in the length of IPv4", "01" + std::string{entry}.substr(2)},
        {"an option without length", longer("02")},
        {"an empty option", longer("02 00")},
        {"an option beyond the entry", longer("02 04 616263")},
        {"an option twice", longer("03 01 61 03 01 61")},
        {"sequences of another length", longer("01 02 0000")},
        {"an engine with a long name", longer("03 11 6161616161616161616161616161616161")},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto decoded = outcome(datagram(entry + row.second, 2));
            BOOST_TEST((decoded.verdict == Verdict::malformed));
            BOOST_TEST(decoded.shown == 1U);
        }
    }
    BOOST_TEST((outcome(datagram(entry, 2)).verdict == Verdict::malformed));
}

BOOST_AUTO_TEST_CASE(single_entries_are_skipped_for_their_content) {
    const auto with = [](std::size_t at, const char* digits) {
        std::string text{entry};
        return text.replace(at, std::string_view{digits}.size(), digits);
    };
    const std::string flags_line{"00000000 0001"};
    const std::size_t flags = std::string{entry}.find(flags_line);
    struct {
        const char* name;
        std::string entry;
    } const rows[] = {
        {"protocol", with(3, "2f")},
        {"state", with(flags, "00000000 000b")},
        {"one packet", with(flags, "00002000 0001")},
        {"a template without client port", with(flags, "00001800 0000")},
        {"engine data of no engine", longer("02 02 6162")},
        {"a mandatory option nobody knows", longer("09 02 6162")},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto decoded = outcome(datagram(row.entry));
            BOOST_TEST((decoded.verdict == Verdict::taken));
            BOOST_TEST(decoded.skipped == 1U);
            BOOST_TEST(decoded.shown == 0U);
        }
    }
    BOOST_TEST(outcome(datagram(longer("49 02 6162"))).shown == 1U);
    // Linux: ip_vs_proc_sync_conn — a template's state only makes the kernel talk.
    BOOST_TEST(outcome(datagram(with(flags, "00001000 0007"))).shown == 1U);
}

BOOST_AUTO_TEST_CASE(padding_is_between_entries_and_not_behind_the_last) {
    const std::string odd = longer("03 03 736970 02 02 6162");
    const auto seen = shown(datagram(odd + "000000" + odd, 2));
    BOOST_TEST(seen.size() == 2U);
}

BOOST_AUTO_TEST_CASE(what_is_built_is_understood) {
    std::mt19937 random{7};
    const auto number = [&](std::uint32_t below) { return random() % below; };
    for (int round = 0; round < 2000; ++round) {
        const auto version = number(2) == 0 ? Version::v0 : Version::v1;
        MessageBuilder builder{200 + number(1400), 21};
        std::vector<Connection> said;
        std::vector<std::string> texts(64);
        for (;;) {
            Connection one;
            const bool v6 = version == Version::v1 && number(2) == 0;
            const auto address = [&]() -> net::IpAddress {
                net::Ipv6Address::Bytes bytes;
                for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random());
                if (v6) return net::Ipv6Address{bytes};
                return net::Ipv4Address{static_cast<std::uint32_t>(random())};
            };
            one.client = address();
            one.virtual_address = address();
            one.destination = address();
            one.client_port = net::Port{static_cast<std::uint16_t>(random())};
            one.virtual_port = net::Port{static_cast<std::uint16_t>(random())};
            one.destination_port = net::Port{static_cast<std::uint16_t>(random())};
            one.protocol = 6;
            one.state = static_cast<std::uint16_t>(number(11));
            one.flags = number(8) | (number(2) * Flags::inactive) | (number(2) * 0x0200);
            if ((one.flags & Flags::sequence_mask) != 0) {
                one.sequences = {{1, 2, static_cast<std::uint32_t>(random())}, {4, 5, 6}};
            }
            if (version == Version::v1) {
                one.timeout = static_cast<std::uint32_t>(random());
                one.firewall_mark = number(3);
                if (number(4) == 0) {
                    std::string& text = texts[said.size() % texts.size()];
                    text.assign(1 + number(255), 'x');
                    one.engine = "sip";
                    one.engine_data = text;
                }
            }
            if (!builder.add(one, version)) break;
            said.push_back(one);
        }
        BOOST_TEST_REQUIRE(builder.connections() == said.size());
        BOOST_TEST((shown(builder.take()) == said));
    }
}

BOOST_AUTO_TEST_CASE(a_message_is_of_one_version) {
    MessageBuilder builder{1472, 21};
    const auto connection = shown(datagram(entry)).front();
    BOOST_TEST(builder.add(connection, Version::v1));
    BOOST_TEST(!builder.add(connection, Version::v0));
    builder.take();
    BOOST_TEST(builder.add(connection, Version::v0));
    BOOST_TEST(!builder.add(connection, Version::v1));
    Connection v6 = connection;
    v6.client = "2001:db8::1"_ip;
    BOOST_TEST(builder.add(v6, Version::v0));
    BOOST_TEST(builder.connections() == 1U);
}

BOOST_AUTO_TEST_CASE(there_is_room_for_one_connection_always) {
    MessageBuilder builder{1, 21};
    const auto connection = shown(datagram(entry)).front();
    BOOST_TEST(builder.add(connection, Version::v1));
    BOOST_TEST(!builder.add(connection, Version::v1));
    BOOST_TEST(builder.take().size() == 44U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nlvs::ipvs_sync
