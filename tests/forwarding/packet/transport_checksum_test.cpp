#include "forwarding/packet/transport_checksum.hpp"

#include "compat/net/ip_address.hpp"
#include "forwarding/packet/packet.hpp"
#include "forwarding/packet/parse.hpp"
#include "forwarding/packet/partial_checksum.hpp"
#include "tests/support/eal_fixture.hpp"
#include "tests/support/packet_builder.hpp"

#include <array>
#include <cstdint>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

const auto a = "10.0.0.100"_ip;
const auto b = "203.0.113.10"_ip;
const auto a6 = "2001:db8::100"_ip;
const auto b6 = "2001:db8:1::10"_ip;

struct Row {
    const char* name;
    Stack stack;
};

std::vector<Row> packets() {
    std::vector<Row> rows;
    for (const std::size_t size : {0, 1, 7, 64, 1001}) {
        rows.push_back({"TCP", ipv4(a, b) / tcp(1, 2) / payload(size)});
        rows.push_back({"UDP", ipv4(a, b).options(4) / udp(1, 2) / payload(size)});
        rows.push_back({"SCTP", ipv4(a, b) / sctp(1, 2) / payload(size)});
        rows.push_back({"TCP over IPv6", ipv6(a6, b6) / extension(60) / tcp(1, 2) / payload(size)});
        rows.push_back({"UDP over IPv6", ipv6(a6, b6) / udp(1, 2) / payload(size)});
        rows.push_back({"SCTP over IPv6", ipv6(a6, b6) / sctp(1, 2) / payload(size)});
    }
    const auto inner = raw((ipv4(b, a) / udp(2, 1) / payload(9)).bytes());
    const auto inner6 = raw((ipv6(b6, a6) / udp(2, 1) / payload(9)).bytes());
    rows.push_back({"ICMP", ipv4(a, b) / icmp(3, 3) / inner});
    rows.push_back({"ICMPv6", ipv6(a6, b6) / icmpv6(1, 4) / inner6});
    return rows;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(transport_checksum_test, EalFixture)

BOOST_AUTO_TEST_CASE(a_checksum_written_afresh_is_the_senders) {
    for (const auto& row : packets()) {
        for (const std::size_t segment : {2048, 100, 97}) {
            BOOST_TEST_CONTEXT(row.name << " in segments of " << segment) {
                const Bytes expected = row.stack.frame();
                const Parsed parsed = parse(expected, expected.size());
                Packet packet{to_mbuf(expected, segment)};
                BOOST_TEST(has_valid_transport_checksum(packet.mbuf(), parsed));
                *packet.at(parsed.l4_offset) ^= std::byte{0x55};
                BOOST_TEST(!has_valid_transport_checksum(packet.mbuf(), parsed));
                *packet.at(parsed.l4_offset) ^= std::byte{0x55};
                write_transport_checksum(packet.mbuf(), parsed);
                BOOST_TEST((to_bytes(packet.mbuf()) == expected));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(udp_writes_a_zero_checksum_as_all_ones) {
    // The payload is chosen so that everything sums to 0xFFFF.
    const Bytes plain = (ipv4(a, b) / udp(1, 2) / raw(Bytes(2))).frame();
    const auto missing = net::load<std::array<std::byte, 2>>(plain.data() + 14 + 20 + 6);
    const Bytes expected = (ipv4(a, b) / udp(1, 2) / raw(Bytes{missing[0], missing[1]})).frame();
    const Parsed parsed = parse(expected, expected.size());
    Packet packet{to_mbuf(expected)};
    net::store(packet.at(parsed.l4_offset + 6), net::Be16{});
    write_transport_checksum(packet.mbuf(), parsed);
    BOOST_TEST(net::load<net::Be16>(packet.at(parsed.l4_offset + 6)).wire() == 0xFFFF);
    BOOST_TEST((to_bytes(packet.mbuf()) == expected));
}

BOOST_AUTO_TEST_CASE(bytes_after_the_udp_datagram_are_not_covered) {
    const Bytes datagram = (ipv4(a, b) / udp(1, 2) / payload(6)).bytes();
    const Bytes expected = (ipv4(a, b) / udp(1, 2).length(14) / payload(10)).frame();
    const Parsed parsed = parse(expected, expected.size());
    Packet packet{to_mbuf(expected)};
    write_transport_checksum(packet.mbuf(), parsed);
    const auto checksum = net::load<net::Be16>(packet.at(parsed.l4_offset + 6));
    BOOST_TEST((checksum == net::load<net::Be16>(datagram.data() + 26)));
}

BOOST_AUTO_TEST_CASE(udp_without_a_checksum_is_right_only_over_ipv4) {
    const Bytes v4 = (ipv4(a, b) / udp(1, 2).checksum(0) / payload(3)).frame();
    const Bytes v6 = (ipv6(a6, b6) / udp(1, 2).checksum(0) / payload(3)).frame();
    Packet packet4{to_mbuf(v4)};
    Packet packet6{to_mbuf(v6)};
    BOOST_TEST(has_valid_transport_checksum(packet4.mbuf(), parse(v4, v4.size())));
    BOOST_TEST(!has_valid_transport_checksum(packet6.mbuf(), parse(v6, v6.size())));
}

BOOST_AUTO_TEST_CASE(a_partial_checksum_is_completed) {
    for (const auto& row : packets()) {
        const Bytes expected = row.stack.frame();
        const Parsed parsed = parse(expected, expected.size());
        if (parsed.kind != PacketKind::transport) continue;
        BOOST_TEST_CONTEXT(row.name) {
            // As Linux leaves it: pseudo-header only, summed the textbook way.
            const std::size_t addresses = parsed.family == net::Family::inet ? 8 : 32;
            const std::size_t at =
                parsed.l3_offset + (parsed.family == net::Family::inet ? 12U : 8U);
            Bytes pseudo(
                expected.begin() + static_cast<long>(at),
                expected.begin() + static_cast<long>(at + addresses)
            );
            pseudo.resize(addresses + 4);
            pseudo[addresses + 1] = std::byte{parsed.protocol};
            builder::set16(pseudo, addresses + 2, parsed.l4_length());
            Bytes partial = expected;
            const std::size_t l4 = parsed.l4_offset;
            if (parsed.protocol == 132) {
                builder::set32(partial, l4 + 8, 0);
            } else {
                builder::set16(
                    partial, l4 + (parsed.protocol == 6 ? 16U : 6U), builder::sum16(pseudo)
                );
            }
            Packet packet{to_mbuf(partial)};
            BOOST_TEST(complete_partial_checksum(packet.mbuf(), parsed));
            BOOST_TEST((to_bytes(packet.mbuf()) == expected));
        }
    }
}

BOOST_AUTO_TEST_CASE(a_complete_checksum_right_or_wrong_is_left_alone) {
    for (const auto& row : packets()) {
        for (const std::byte damage : {std::byte{0}, std::byte{0x10}}) {
            Bytes frame = row.stack.frame();
            frame.back() ^= damage;
            const Parsed parsed = parse(frame, frame.size());
            Packet packet{to_mbuf(frame)};
            BOOST_TEST_CONTEXT(row.name) {
                BOOST_TEST(!complete_partial_checksum(packet.mbuf(), parsed));
                BOOST_TEST((to_bytes(packet.mbuf()) == frame));
            }
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
