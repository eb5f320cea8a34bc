#include "forwarding/transmit/icmp_related.hpp"

#include "compat/net/ip_address.hpp"
#include "forwarding/packet/packet.hpp"
#include "forwarding/packet/parse.hpp"
#include "tests/support/eal_fixture.hpp"
#include "tests/support/packet_builder.hpp"

#include <cstdint>

#include <boost/test/unit_test.hpp>

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

const auto client = "10.0.0.100"_ip;
const auto vip = "10.0.0.10"_ip;
const auto server = "192.168.1.2"_ip;
const auto client6 = "2001:db8::100"_ip;
const auto vip6 = "2001:db8::10"_ip;
const auto server6 = "2001:db8:1::2"_ip;
const auto router = "10.0.0.254"_ip;
const auto router6 = "2001:db8::fe"_ip;

/// client:40160 → virtual:8000 → server:80.
template <class FamilyTag>
Connection<FamilyTag> connection_of(std::uint8_t protocol) {
    Connection<FamilyTag> connection{};
    if constexpr (FamilyTag::family == net::Family::inet) {
        connection.client = client.v4();
        connection.virtual_address = vip.v4();
        connection.destination = server.v4();
    } else {
        connection.client = client6.v6();
        connection.virtual_address = vip6.v6();
        connection.destination = server6.v6();
    }
    connection.client_port = net::Port{std::uint16_t{40160}};
    connection.virtual_port = net::Port{std::uint16_t{8000}};
    connection.destination_port = net::Port{std::uint16_t{80}};
    connection.protocol = protocol;
    return connection;
}

template <class FamilyTag, Direction direction>
Bytes translated(const Bytes& frame, std::uint8_t protocol = 17) {
    const Parsed parsed = parse(frame, frame.size());
    BOOST_TEST_REQUIRE((parsed.kind == PacketKind::icmp_error));
    const auto connection = connection_of<FamilyTag>(protocol);
    // The look-up the pipeline does must find this connection.
    const auto key = parsed.flow<FamilyTag>().inverted();
    if (direction == Direction::request) {
        BOOST_TEST(
            (key.source == connection.client && key.destination == connection.virtual_address)
        );
    } else {
        BOOST_TEST((key.source == connection.destination && key.destination == connection.client));
    }
    Packet packet{to_mbuf(frame, 150)};
    const bool done =
        masquerade_icmp_error<FamilyTag, direction>(packet.mbuf(), parsed, connection);
    return done ? to_bytes(packet.mbuf()) : Bytes{};
}

/// A quoted packet; its transport checksum is whatever it was on the other side.
template <class Ip, class Transport>
Layer quoted(Ip ip, Transport transport, std::size_t size = 36) {
    return raw((ip / transport.checksum(0x9A59) / payload(size)).bytes());
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(icmp_related_test, EalFixture)

BOOST_AUTO_TEST_CASE(an_error_from_the_client_reaches_the_server) {
    for (const std::size_t size : {0, 36, 101, 500}) {
        BOOST_TEST_CONTEXT(size << " bytes quoted") {
            BOOST_TEST(
                (translated<V4, Direction::request>(
                     (ipv4(client, vip).tos(0xC0) / icmp(3, 3) /
                      quoted(ipv4(vip, client).ttl(63).df(), udp(8000, 40160), size))
                         .frame()
                 ) == (ipv4(client, server).tos(0xC0) / icmp(3, 3) /
                       quoted(ipv4(server, client).ttl(63).df(), udp(80, 40160), size))
                          .frame())
            );
            BOOST_TEST(
                (translated<V6, Direction::request>(
                     (ipv6(client6, vip6) / icmpv6(1, 4) /
                      quoted(ipv6(vip6, client6), udp(8000, 40160), size))
                         .frame()
                 ) == (ipv6(client6, server6) / icmpv6(1, 4) /
                       quoted(ipv6(server6, client6), udp(80, 40160), size))
                          .frame())
            );
        }
    }
}

BOOST_AUTO_TEST_CASE(an_error_from_the_server_reaches_the_client) {
    BOOST_TEST((
        translated<V4, Direction::reply>(
            (ipv4(server, client) / icmp(3, 3) / quoted(ipv4(client, server), tcp(40160, 80).syn()))
                .frame(),
            6
        ) ==
        (ipv4(vip, client) / icmp(3, 3) / quoted(ipv4(client, vip), tcp(40160, 8000).syn())).frame()
    ));
    BOOST_TEST(
        (translated<V6, Direction::reply>(
             (ipv6(server6, client6) / icmpv6(1, 4) /
              quoted(ipv6(client6, server6), tcp(40160, 80).syn()))
                 .frame(),
             6
         ) ==
         (ipv6(vip6, client6) / icmpv6(1, 4) / quoted(ipv6(client6, vip6), tcp(40160, 8000).syn()))
             .frame())
    );
}

BOOST_AUTO_TEST_CASE(a_router_on_the_way_is_translated_like_the_end) {
    BOOST_TEST(
        (translated<V4, Direction::request>(
             (ipv4(router, vip) / icmp(3, 4, 1400) /
              quoted(ipv4(vip, client).df().options(8), udp(8000, 40160)))
                 .frame()
         ) == (ipv4(router, server) / icmp(3, 4, 1400) /
               quoted(ipv4(server, client).df().options(8), udp(80, 40160)))
                  .frame())
    );
    // Linux hides an inner router behind the virtual address.
    BOOST_TEST((
        translated<V6, Direction::reply>((ipv6(router6, client6) / icmpv6(3, 0) /
                                          quoted(ipv6(client6, server6), udp(40160, 80)))
                                             .frame()) ==
        (ipv6(vip6, client6) / icmpv6(3, 0) / quoted(ipv6(client6, vip6), udp(40160, 8000))).frame()
    ));
}

BOOST_AUTO_TEST_CASE(a_quotation_of_eight_transport_bytes_is_enough) {
    Bytes before = (ipv4(vip, client).df() / tcp(8000, 40160).checksum(1) / payload(100)).bytes();
    Bytes after = (ipv4(server, client).df() / tcp(80, 40160).checksum(1) / payload(100)).bytes();
    before.resize(28);
    after.resize(28);
    BOOST_TEST(
        (translated<V4, Direction::request>(
             (ipv4(client, vip) / icmp(11, 0) / raw(before)).frame(), 6
         ) == (ipv4(client, server) / icmp(11, 0) / raw(after)).frame())
    );
}

BOOST_AUTO_TEST_CASE(a_wrong_checksum_is_refused_and_nothing_changed) {
    Bytes frame =
        (ipv4(client, vip) / icmp(3, 3) / quoted(ipv4(vip, client), udp(8000, 40160))).frame();
    frame.back() ^= std::byte{1};
    const Parsed parsed = parse(frame, frame.size());
    Packet packet{to_mbuf(frame)};
    const bool done =
        masquerade_icmp_error<V4, Direction::request>(packet.mbuf(), parsed, connection_of<V4>(17));
    BOOST_TEST(!done);
    BOOST_TEST((to_bytes(packet.mbuf()) == frame));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
