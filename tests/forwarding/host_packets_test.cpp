#include <boost/test/unit_test.hpp>

#include "compat/net/ip_address.hpp"
#include "forwarding/pipeline.hpp"
#include "tests/support/director.hpp"

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

constexpr std::uint8_t tcp_number = 6;
constexpr std::uint8_t udp_number = 17;
const auto client = "10.0.0.100"_ip;
const auto vip = "203.0.113.10"_ip;
const auto own = "10.0.0.1"_ip;
const auto client6 = "2001:db8::100"_ip;
const auto vip6 = "2001:db8::10"_ip;
const auto own6 = "2001:db8::1"_ip;

/// A director with one service on port 80 whose only real server is the director.
struct OwnServer {
    explicit OwnServer(
        ForwardingMethod method = ForwardingMethod::masquerade,
        const net::IpAddress& server = own, std::uint16_t workers = 1, std::uint8_t protocol = tcp_number
    )
        : director{workers} {
        const bool v4 = server.is_v4();
        director.add_local(v4 ? vip : vip6);
        Service service = director.service(protocol, v4 ? vip : vip6, 80);
        slot = &director.add_destination(service, server, 8080, method);
        director.make_local(*slot);
        director.publish(std::move(service));
    }

    Director director;
    DestinationSlot* slot = nullptr;
};

const Bytes request = (ipv4(client, vip).ttl(1) / tcp(40000, 80).syn()).frame();

}  // namespace

BOOST_FIXTURE_TEST_SUITE(host_packets_test, EalFixture)

BOOST_AUTO_TEST_CASE(a_masqueraded_server_on_the_host_is_translated_both_ways_at_any_hop_count) {
    OwnServer lab;
    const auto asked = lab.director.receive(request);
    BOOST_TEST(asked.frames.empty());
    BOOST_TEST_REQUIRE(asked.punted.size() == 1U);
    BOOST_TEST((asked.punted[0] == (ipv4(client, own).ttl(1) / tcp(40000, 8080).syn()).frame()));

    const auto answered =
        lab.director.inject((ipv4(own, client).ttl(64) / tcp(8080, 40000).syn().ack()).frame());
    BOOST_TEST(answered.punted.empty());
    BOOST_TEST_REQUIRE(answered.frames.size() == 1U);
    BOOST_TEST(
        (answered.frames[0] == (ipv4(vip, client).ttl(64) / tcp(80, 40000).syn().ack()).frame())
    );
    const ipvs::Totals counted = lab.director.counters().destinations[0].read();
    BOOST_TEST((counted == ipvs::Totals{1, 1, 1, 40, 40}));
}

BOOST_AUTO_TEST_CASE(the_same_over_ipv6) {
    OwnServer lab{ForwardingMethod::masquerade, own6, 1, udp_number};
    const auto asked = lab.director.receive((ipv6(client6, vip6) / udp(4000, 80) / payload(9)).frame());
    BOOST_TEST_REQUIRE(asked.punted.size() == 1U);
    BOOST_TEST((asked.punted[0] == (ipv6(client6, own6) / udp(4000, 8080) / payload(9)).frame()));
    const auto answered = lab.director.inject((ipv6(own6, client6) / udp(8080, 4000) / payload(9)).frame());
    BOOST_TEST_REQUIRE(answered.frames.size() == 1U);
    BOOST_TEST((answered.frames[0] == (ipv6(vip6, client6) / udp(80, 4000) / payload(9)).frame()));
}

BOOST_AUTO_TEST_CASE(without_masquerading_the_host_gets_the_packet_as_it_came) {
    for (const auto method : {ForwardingMethod::direct_route, ForwardingMethod::tunnel}) {
        for (const auto& server : {own, "127.0.0.1"_ip}) {
            OwnServer lab{method, server};
            const auto asked = lab.director.receive(request);
            BOOST_TEST_REQUIRE(asked.punted.size() == 1U);
            BOOST_TEST((asked.punted[0] == request));
            const Bytes answer = (ipv4(vip, client) / tcp(80, 40000).syn().ack()).frame();
            const auto answered = lab.director.inject(answer);
            BOOST_TEST_REQUIRE(answered.frames.size() == 1U);
            BOOST_TEST((answered.frames[0] == answer));
            const ipvs::Totals counted = lab.director.counters().destinations[0].read();
            BOOST_TEST((counted == ipvs::Totals{1, 1, 1, 40, 40}));
        }
    }
}

BOOST_AUTO_TEST_CASE(nothing_is_masqueraded_to_a_loopback_address) {
    OwnServer v4{ForwardingMethod::masquerade, "127.0.0.1"_ip};
    const auto asked = v4.director.receive(request);
    BOOST_TEST((asked.punted.empty() && asked.frames.empty()));
    BOOST_TEST(v4.director.drops(DropReason::loopback_destination) == 1U);
    OwnServer v6{ForwardingMethod::masquerade, "::1"_ip};
    const auto asked6 = v6.director.receive((ipv6(client6, vip6) / tcp(4000, 80).syn()).frame());
    BOOST_TEST((asked6.punted.empty() && asked6.frames.empty()));
    BOOST_TEST(v6.director.drops(DropReason::loopback_destination) == 1U);
}

BOOST_AUTO_TEST_CASE(an_error_of_the_host_about_a_request_names_the_virtual_address) {
    OwnServer lab{ForwardingMethod::masquerade, own, 1, udp_number};
    const auto question = ipv4(client, vip) / udp(4000, 80) / payload(4);
    lab.director.receive(question.frame());
    const auto seen = ipv4(client, own) / udp(4000, 8080) / payload(4);
    const auto shown = ipv4(client, vip) / udp(4000, 80).checksum(0) / payload(4);
    const auto told = lab.director.inject((ipv4(own, client) / icmp(3, 3) / raw(seen.bytes())).frame());
    BOOST_TEST_REQUIRE(told.frames.size() == 1U);
    const Bytes& frame = told.frames[0];
    const Bytes expected = (ipv4(vip, client) / icmp(3, 3) / raw(shown.bytes())).frame();
    // All but the ICMP checksum and the quoted UDP checksum, which stays the server's.
    BOOST_TEST((Bytes(frame.begin(), frame.begin() + 36) == Bytes(expected.begin(), expected.begin() + 36)));
    BOOST_TEST((Bytes(frame.begin() + 42, frame.begin() + 68) == Bytes(expected.begin() + 42, expected.begin() + 68)));
}

BOOST_AUTO_TEST_CASE(what_else_the_host_sends_leaves_as_it_is) {
    OwnServer lab;
    const Bytes other = (ipv4(own, client).ttl(1) / tcp(22, 50000).ack()).frame();
    const Bytes resolution = (ethernet().type(0x0806) / payload(28)).frame();
    const Bytes piece = (ipv4(own, client).fragment(0, true) / udp(8080, 40000) / payload(16)).frame();
    for (const Bytes& frame : {other, resolution, piece}) {
        const auto sent = lab.director.inject(frame);
        BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
        BOOST_TEST((sent.frames[0] == frame));
    }
}

BOOST_AUTO_TEST_CASE(the_host_finds_the_worker_that_owns_the_connection) {
    constexpr std::uint16_t workers = 4;
    OwnServer lab{ForwardingMethod::masquerade, own, workers};
    for (std::uint16_t port = 40000; port < 40003; ++port) {
        for (WorkerId from = 0; from < workers; ++from) {
            lab.director.receive((ipv4(client, vip) / tcp(port, 80).syn()).frame(), 0);
            const auto answered = lab.director.inject(
                (ipv4(own, client) / tcp(8080, port).syn().ack()).frame(), from
            );
            BOOST_TEST_REQUIRE(answered.frames.size() == 1U);
            BOOST_TEST(
                (answered.frames[0] == (ipv4(vip, client) / tcp(80, port).syn().ack()).frame())
            );
        }
    }
}

BOOST_AUTO_TEST_CASE(a_reassembled_packet_reaches_the_host_in_pieces) {
    OwnServer lab{ForwardingMethod::masquerade, own, 1, udp_number};
    const Bytes datagram = (udp(4000, 80) / payload(24)).bytes();
    const auto part = [&](std::size_t from, std::size_t to, bool more) {
        const Bytes data(
            datagram.begin() + static_cast<std::ptrdiff_t>(from),
            datagram.begin() + static_cast<std::ptrdiff_t>(to)
        );
        return (ipv4(client, vip).id(7).fragment(from, more) / raw(data, udp_number)).frame();
    };
    BOOST_TEST(lab.director.receive(part(0, 16, true)).punted.empty());
    const auto asked = lab.director.receive(part(16, datagram.size(), false));
    BOOST_TEST_REQUIRE(asked.punted.size() == 2U);
    for (const Bytes& piece : asked.punted) BOOST_TEST(piece.size() <= 14U + 20U + 16U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
