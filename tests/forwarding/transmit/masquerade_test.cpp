#include "forwarding/transmit/masquerade.hpp"

#include "compat/net/ip_address.hpp"
#include "forwarding/packet/packet.hpp"
#include "forwarding/packet/parse.hpp"
#include "forwarding/transmit/direct_route.hpp"
#include "tests/support/eal_fixture.hpp"
#include "tests/support/packet_builder.hpp"

#include <cstdint>
#include <random>

#include <boost/test/unit_test.hpp>

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

const auto client = "10.0.0.100"_ip;
const auto vip = "203.0.113.10"_ip;
const auto server = "192.168.1.2"_ip;
const auto client6 = "2001:db8::100"_ip;
const auto vip6 = "2001:db8::10"_ip;
const auto server6 = "2001:db8:1::2"_ip;

template <class FamilyTag>
typename FamilyTag::Address typed(const net::IpAddress& address) {
    if constexpr (FamilyTag::family == net::Family::inet) {
        return address.v4();
    } else {
        return address.v6();
    }
}

/// client:40000 → virtual:80 → real server:8080.
template <class FamilyTag>
Connection<FamilyTag> connection_of(std::uint8_t protocol, std::uint16_t server_port = 8080) {
    constexpr bool v4 = FamilyTag::family == net::Family::inet;
    Connection<FamilyTag> connection{};
    connection.client = typed<FamilyTag>(v4 ? client : client6);
    connection.virtual_address = typed<FamilyTag>(v4 ? vip : vip6);
    connection.destination = typed<FamilyTag>(v4 ? server : server6);
    connection.client_port = net::Port{std::uint16_t{40000}};
    connection.virtual_port = net::Port{std::uint16_t{80}};
    connection.destination_port = net::Port{server_port};
    connection.protocol = protocol;
    return connection;
}

template <class FamilyTag, Direction direction>
Bytes rewritten(const Stack& stack, const Connection<FamilyTag>& connection) {
    const Bytes frame = stack.frame();
    const Parsed parsed = parse(frame, frame.size());
    BOOST_TEST_REQUIRE((parsed.kind == PacketKind::transport));
    Packet packet{to_mbuf(frame, 128)};
    masquerade<FamilyTag, direction>(packet.mbuf(), parsed, connection);
    return to_bytes(packet.mbuf());
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(masquerade_test, EalFixture)

BOOST_AUTO_TEST_CASE(a_request_goes_to_the_server) {
    const auto request = Direction::request;
    const auto data = payload(333);
    BOOST_TEST(
        (rewritten<V4, request>(
             ipv4(client, vip).ttl(60) / tcp(40000, 80).syn() / data, connection_of<V4>(6)
         ) == (ipv4(client, server).ttl(60) / tcp(40000, 8080).syn() / data).frame())
    );
    BOOST_TEST(
        (rewritten<V4, request>(
             ipv4(client, vip).options(8) / udp(40000, 80) / data, connection_of<V4>(17)
         ) == (ipv4(client, server).options(8) / udp(40000, 8080) / data).frame())
    );
    BOOST_TEST(
        (rewritten<V6, request>(
             ipv6(client6, vip6) / tcp(40000, 80).ack() / data, connection_of<V6>(6)
         ) == (ipv6(client6, server6) / tcp(40000, 8080).ack() / data).frame())
    );
    BOOST_TEST(
        (rewritten<V6, request>(
             ipv6(client6, vip6) / extension(0) / udp(40000, 80) / data, connection_of<V6>(17)
         ) == (ipv6(client6, server6) / extension(0) / udp(40000, 8080) / data).frame())
    );
}

BOOST_AUTO_TEST_CASE(a_reply_comes_from_the_virtual_address) {
    const auto reply = Direction::reply;
    const auto data = payload(101);
    BOOST_TEST(
        (rewritten<V4, reply>(
             ipv4(server, client) / tcp(8080, 40000).ack() / data, connection_of<V4>(6)
         ) == (ipv4(vip, client) / tcp(80, 40000).ack() / data).frame())
    );
    BOOST_TEST(
        (rewritten<V6, reply>(
             ipv6(server6, client6) / udp(8080, 40000) / data, connection_of<V6>(17)
         ) == (ipv6(vip6, client6) / udp(80, 40000) / data).frame())
    );
}

BOOST_AUTO_TEST_CASE(an_sctp_checksum_is_recomputed_when_the_port_changes) {
    const auto data = payload(200);
    BOOST_TEST(
        (rewritten<V4, Direction::request>(
             ipv4(client, vip) / sctp(40000, 80) / data, connection_of<V4>(132)
         ) == (ipv4(client, server) / sctp(40000, 8080) / data).frame())
    );
    BOOST_TEST(
        (rewritten<V6, Direction::reply>(
             ipv6(server6, client6) / sctp(8080, 40000) / data, connection_of<V6>(132)
         ) == (ipv6(vip6, client6) / sctp(80, 40000) / data).frame())
    );
}

BOOST_AUTO_TEST_CASE(a_wrong_sctp_checksum_survives_when_the_port_stays) {
    auto frame = (ipv4(client, vip) / sctp(40000, 80) / payload(4)).frame();
    frame[14 + 20 + 8] ^= std::byte{1};
    auto expected = (ipv4(client, server) / sctp(40000, 80) / payload(4)).frame();
    expected[14 + 20 + 8] ^= std::byte{1};
    Packet packet{to_mbuf(frame)};
    masquerade<V4, Direction::request>(
        packet.mbuf(), parse(frame, frame.size()), connection_of<V4>(132, 80)
    );
    BOOST_TEST((to_bytes(packet.mbuf()) == expected));
}

BOOST_AUTO_TEST_CASE(udp_without_a_checksum_gets_one) {
    BOOST_TEST(
        (rewritten<V4, Direction::request>(
             ipv4(client, vip) / udp(40000, 80).checksum(0) / payload(500), connection_of<V4>(17)
         ) == (ipv4(client, server) / udp(40000, 8080) / payload(500)).frame())
    );
}

BOOST_AUTO_TEST_CASE(a_wrong_checksum_stays_wrong) {
    auto frame = (ipv4(client, vip) / tcp(40000, 80) / payload(5)).frame();
    frame.back() ^= std::byte{0x40};
    const Parsed parsed = parse(frame, frame.size());
    Packet packet{to_mbuf(frame)};
    masquerade<V4, Direction::request>(packet.mbuf(), parsed, connection_of<V4>(6));
    BOOST_TEST(!has_valid_transport_checksum(packet.mbuf(), parsed));
}

BOOST_AUTO_TEST_CASE(there_and_back_restores_the_packet) {
    const auto seed = std::random_device{}();
    BOOST_TEST_CONTEXT("seed " << seed) {
        std::mt19937_64 random{seed};
        std::size_t wrong = 0;
        for (int i = 0; i < 20'000; ++i) {
            auto c = connection_of<V4>(i % 2 == 0 ? 6 : 17);
            const auto bits = random();
            c.virtual_address = net::Ipv4Address{static_cast<std::uint32_t>(bits)};
            c.destination = net::Ipv4Address{static_cast<std::uint32_t>(bits >> 32)};
            c.virtual_port = net::Port{static_cast<std::uint16_t>(random())};
            c.destination_port = net::Port{static_cast<std::uint16_t>(random())};
            const auto size = random() % 64;
            const auto first = static_cast<std::uint8_t>(random());
            const auto packet_of = [&](net::Ipv4Address address, net::Port port) {
                const auto l4 =
                    i % 2 == 0 ? Layer{tcp(40000, port.host())} : Layer{udp(40000, port.host())};
                return (ipv4(client, address) / l4 / payload(size, first)).frame();
            };
            const Bytes request = packet_of(c.virtual_address, c.virtual_port);
            Bytes bytes = request;
            const Parsed parsed = parse(bytes, bytes.size());
            std::byte* l3 = bytes.data() + parsed.l3_offset;
            std::byte* l4 = bytes.data() + parsed.l4_offset;
            bool right =
                masquerade_headers<V4, Direction::request>(l3, l4, c) == TransportChecksum::updated;
            right &= bytes == packet_of(c.destination, c.destination_port);
            std::swap(c.virtual_address, c.destination);
            std::swap(c.virtual_port, c.destination_port);
            right &=
                masquerade_headers<V4, Direction::request>(l3, l4, c) == TransportChecksum::updated;
            right &= bytes == request;
            if (!right) ++wrong;
        }
        BOOST_TEST(wrong == 0);
    }
}

BOOST_AUTO_TEST_CASE(one_hop_less_changes_ttl_and_header_checksum_only) {
    auto v4 = (ipv4(client, vip).ttl(2) / udp(1, 2)).frame();
    BOOST_TEST(may_be_forwarded(parse(v4, v4.size())));
    decrement_ttl<V4>(v4.data() + 14);
    BOOST_TEST((v4 == (ipv4(client, vip).ttl(1) / udp(1, 2)).frame()));
    BOOST_TEST(!may_be_forwarded(parse(v4, v4.size())));
    auto v6 = (ipv6(client6, vip6).hop_limit(64) / udp(1, 2)).frame();
    decrement_ttl<V6>(v6.data() + 14);
    BOOST_TEST((v6 == (ipv6(client6, vip6).hop_limit(63) / udp(1, 2)).frame()));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
