#include "forwarding/plain_router.hpp"

#include <boost/test/unit_test.hpp>

#include "tests/support/director.hpp"

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

constexpr net::MacAddress own{{0x02, 0, 0, 0, 0, 0x02}};
const auto sender = "192.168.1.2"_ip;
const auto receiver = "198.51.100.7"_ip;
const auto sender6 = "2001:db8:1::2"_ip;
const auto receiver6 = "2001:db8:2::7"_ip;

/// A router between two interfaces with a way to everywhere, and no service.
struct Router : EalFixture {
    Director director;
    Ingress ingress;

    Router() {
        ingress.key = {0, station_word(own), {}};
        ingress.interface = ingress.input = Director::input;
        ingress.forwards_v4 = ingress.forwards_v6 = true;
        director.set_port_mac(own);
        director.receive_as(ingress);
        director.configuration().forwards_v4 = true;
        director.configuration().forwards_v6 = true;
    }

    void check_source(SourceCheck check) {
        ingress.source_check = check;
        director.receive_as(ingress);
    }

    /// Leads to `interface`, in place of the default route.
    void route(const net::IpAddress& address, NextHop::Type type, std::uint32_t interface) {
        NextHop hop;
        hop.type = type;
        hop.interface = interface;
        hop.via = Director::gateway();
        director.add_route({address, address.bits()}, hop);
    }

    bool forwards(const Bytes& frame) {
        const auto sent = director.receive(frame);
        BOOST_TEST(sent.frames.size() + sent.punted.size() == 1U);
        if (!sent.punted.empty()) BOOST_TEST((sent.punted[0] == frame));
        return sent.frames.size() == 1;
    }
};

Bytes plain(std::uint8_t ttl = 64) {
    return (ipv4(sender, receiver).ttl(ttl) / udp(1000, 2000) / payload(20)).frame();
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(plain_router_test, Router)

BOOST_AUTO_TEST_CASE(a_packet_of_no_service_has_one_hop_less_and_the_gateways_address) {
    const auto sent = director.receive(plain());
    BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
    BOOST_TEST((sent.frames[0] == plain(63)));
    BOOST_TEST(director.counters().routed.read() == 1U);
    const auto sent6 =
        director.receive((ipv6(sender6, receiver6).hop_limit(9) / udp(1000, 2000)).frame());
    BOOST_TEST_REQUIRE(sent6.frames.size() == 1U);
    BOOST_TEST(
        (sent6.frames[0] == (ipv6(sender6, receiver6).hop_limit(8) / udp(1000, 2000)).frame())
    );
}

BOOST_AUTO_TEST_CASE(the_kernel_gets_what_needs_more_than_forwarding) {
    const struct {
        const char* name;
        Bytes frame;
        bool forwarded;
    } rows[]{
        {"two hops left", plain(2), true},
        {"last hop", plain(1), false},
        {"no hop", plain(0), false},
        {"options", (ipv4(sender, receiver).options(4) / udp(1, 2)).frame(), false},
        {"too large", (ipv4(sender, receiver) / udp(1, 2) / payload(1480)).frame(), false},
        {"as large as fits", (ipv4(sender, receiver) / udp(1, 2) / payload(1472)).frame(), true},
        {"multicast", (ipv4(sender, "224.0.0.18"_ip) / udp(1, 2)).frame(), false},
        {"broadcast", (ipv4(sender, "255.255.255.255"_ip) / udp(1, 2)).frame(), false},
        {"loopback source", (ipv4("127.0.0.1"_ip, receiver) / udp(1, 2)).frame(), false},
        {"no source", (ipv4("0.0.0.0"_ip, receiver) / udp(1, 2)).frame(), false},
        {"hop-by-hop options", (ipv6(sender6, receiver6) / extension(0, 8) / udp(1, 2)).frame(), false},
        {"link-local source", (ipv6("fe80::1"_ip, receiver6) / udp(1, 2)).frame(), false},
        {"link-local destination", (ipv6(sender6, "fe80::1"_ip) / udp(1, 2)).frame(), false},
        {"no IPv6 source", (ipv6("::"_ip, receiver6) / udp(1, 2)).frame(), false},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            BOOST_TEST(forwards(row.frame) == row.forwarded);
        }
    }
}

BOOST_AUTO_TEST_CASE(only_a_router_routes) {
    BOOST_TEST(forwards(plain()));
    ingress.forwards_v4 = false;
    director.receive_as(ingress);
    BOOST_TEST(!forwards(plain()));
    ingress.forwards_v4 = true;
    director.receive_as(ingress);
    director.configuration().forwards_v4 = false;
    BOOST_TEST(!forwards(plain()));
    BOOST_TEST(forwards((ipv6(sender6, receiver6) / udp(1, 2)).frame()));
}

BOOST_AUTO_TEST_CASE(every_other_route_is_the_kernels) {
    const struct {
        const char* name;
        NextHop::Type type;
        std::uint32_t interface;
        bool forwarded;
    } rows[]{
        {"out", NextHop::Type::unicast, Director::output, true},
        {"back where it came from", NextHop::Type::unicast, Director::input, false},
        {"an unresolved neighbour", NextHop::Type::unicast, 77, false},
        {"local", NextHop::Type::local, Director::output, false},
        {"blackhole", NextHop::Type::blackhole, Director::output, false},
        {"unreachable", NextHop::Type::unreachable, Director::output, false},
        {"prohibit", NextHop::Type::prohibit, Director::output, false},
        {"another device", NextHop::Type::punt, Director::output, false},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            route(receiver, row.type, row.interface);
            BOOST_TEST(forwards(plain()) == row.forwarded);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_sender_that_is_not_there_is_the_kernels_to_judge) {
    check_source(SourceCheck::loose);
    BOOST_TEST(forwards(plain()));
    check_source(SourceCheck::strict);
    BOOST_TEST(!forwards(plain()));
    route(sender, NextHop::Type::unicast, Director::input);
    BOOST_TEST(forwards(plain()));
    route(sender, NextHop::Type::local, Director::input);
    BOOST_TEST(!forwards(plain()));
    check_source(SourceCheck::loose);
    BOOST_TEST(!forwards(plain()));
    check_source(SourceCheck::none);
    BOOST_TEST(forwards(plain()));
}

BOOST_AUTO_TEST_CASE(a_routes_own_mtu_counts) {
    NextHop hop;
    hop.type = NextHop::Type::unicast;
    hop.interface = Director::output;
    hop.via = Director::gateway();
    hop.mtu = 100;
    director.add_route({receiver, 32}, hop);
    BOOST_TEST(forwards((ipv4(sender, receiver) / udp(1, 2) / payload(72)).frame()));
    BOOST_TEST(!forwards((ipv4(sender, receiver) / udp(1, 2) / payload(73)).frame()));
}

BOOST_AUTO_TEST_CASE(frames_for_others_are_never_routed) {
    const auto sent = director.receive(
        (ethernet({{0x02, 0, 0, 0, 0, 0x99}}) / ipv4(sender, receiver) / udp(1, 2)).frame()
    );
    BOOST_TEST(sent.frames.empty());
    BOOST_TEST(sent.punted.size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
