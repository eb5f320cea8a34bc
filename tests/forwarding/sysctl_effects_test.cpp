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
const auto server = "192.168.1.2"_ip;
const auto own = "10.0.0.1"_ip;
const auto client6 = "2001:db8::100"_ip;
const auto vip6 = "2001:db8::10"_ip;
const auto server6 = "2001:db8:1::2"_ip;
const auto own6 = "2001:db8::1"_ip;

/// A director with one service on port 80 of both families and one masqueraded server each.
struct OneService {
    explicit OneService(std::uint8_t protocol = tcp_number) {
        director.add_local(vip);
        director.add_local(vip6);
        director.set_own_addresses(own, own6);
        for (const auto& [address, real] : {std::pair{vip, server}, std::pair{vip6, server6}}) {
            Service service = director.service(protocol, address, 80);
            slots.push_back(&director.add_destination(service, real, 8080));
            director.publish(std::move(service));
        }
    }

    Director director;
    std::vector<DestinationSlot*> slots;
};

Bytes syn(std::uint16_t port) { return (ipv4(client, vip) / tcp(port, 80).syn()).frame(); }

/// How many of `count` new clients get through.
std::uint32_t admitted(Director& director, std::uint16_t count) {
    std::uint32_t through = 0;
    for (std::uint16_t i = 0; i < count; ++i) {
        through += static_cast<std::uint32_t>(
            director.receive(syn(static_cast<std::uint16_t>(20000 + i))).frames.size()
        );
    }
    return through;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(sysctl_effects_test, EalFixture)

BOOST_AUTO_TEST_CASE(drop_packet_takes_every_nth_new_connection_beginning_with_the_first) {
    OneService lab;
    ipvs::Sysctls sysctls;
    sysctls.drop_packet = 3;
    lab.director.set(sysctls);  // am_droprate 10
    BOOST_TEST(lab.director.receive(syn(10)).frames.empty());
    BOOST_TEST(lab.director.receive(syn(11)).frames.size() == 1U);
    BOOST_TEST(admitted(lab.director, 98) == 89U);
    BOOST_TEST(lab.director.drops(DropReason::drop_rate) == 10U);
    // A packet of a connection is never taken.
    for (int i = 0; i < 30; ++i) BOOST_TEST(lab.director.receive(syn(11)).frames.size() == 1U);
}

// Linux: ip_vs_core.c ip_vs_route_me_harder. The rule that forbids the way tells which look-up was made.
BOOST_AUTO_TEST_CASE(snat_reroute_says_as_whose_packet_an_answer_is_routed) {
    const Bytes answer = (ipv4(server, client) / tcp(8080, 10).syn().ack()).frame();
    RoutingRule by_virtual, by_server, by_arrival;
    by_virtual.source = {vip, 32};
    by_server.source = {server, 32};
    by_arrival.input = Director::input;
    struct {
        const char* name;
        RoutingRule rule;
        bool passes_rerouted, passes_forwarded;
    } rows[] = {
        {"from the virtual address", by_virtual, false, true},
        {"from the server", by_server, true, false},
        {"by the interface it came in by", by_arrival, true, false},
    };
    for (auto& row : rows) {
        for (const bool reroute : {true, false}) {
            BOOST_TEST_CONTEXT(row.name << (reroute ? ", rerouted" : ", forwarded")) {
                OneService lab;
                lab.director.set_port_mac({{0x02, 0, 0, 0, 0, 0x02}});
                BOOST_TEST(lab.director.receive(syn(10)).frames.size() == 1U);
                row.rule.action = RoutingRule::Action::unreachable;
                lab.director.set_rule(row.rule);
                ipvs::Sysctls sysctls;
                sysctls.snat_reroute = reroute ? 1 : 0;
                lab.director.set(sysctls);
                const bool passes = reroute ? row.passes_rerouted : row.passes_forwarded;
                BOOST_TEST(lab.director.receive(answer).frames.size() == (passes ? 1U : 0U));
                BOOST_TEST(lab.director.drops(DropReason::no_route) == (passes ? 0U : 1U));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(drop_packet_of_rate_one_or_less_takes_all_and_of_zero_none) {
    for (const std::int32_t rate : {1, -5}) {
        OneService lab;
        ipvs::Sysctls sysctls;
        sysctls.drop_packet = 3;
        sysctls.am_droprate = rate;
        lab.director.set(sysctls);
        BOOST_TEST(admitted(lab.director, 20) == 0U);
    }
    OneService lab;
    ipvs::Sysctls sysctls;
    sysctls.drop_packet = 3;
    sysctls.am_droprate = 0;
    lab.director.set(sysctls);
    BOOST_TEST(admitted(lab.director, 20) == 20U);
}

BOOST_AUTO_TEST_CASE(the_automatic_modes_follow_the_memory) {
    ipvs::Sysctls sysctls;
    sysctls.drop_packet = 1;
    sysctls.drop_entry = 2;
    sysctls.secure_tcp = 3;
    follow_memory(sysctls, 1024);
    BOOST_TEST((sysctls.drop_packet == 1 && sysctls.drop_entry == 1 && sysctls.secure_tcp == 3));
    Settings settings = make_settings({}, sysctls, 1024);
    BOOST_TEST((settings.drop_rate == 0 && !settings.drop_entry && settings.secure_tcp));
    follow_memory(sysctls, 1023);
    BOOST_TEST((sysctls.drop_packet == 2 && sysctls.drop_entry == 2 && sysctls.secure_tcp == 3));
    settings = make_settings({}, sysctls, 1023);
    BOOST_TEST((settings.drop_rate == 1024 && settings.drop_entry));
    // A quarter of the threshold left: one in 1024 / 768.
    BOOST_TEST(make_settings({}, sysctls, 256).drop_rate == 1);
}

BOOST_AUTO_TEST_CASE(drop_entry_throws_out_half_open_connections_within_a_minute_or_so) {
    OneService lab;
    BOOST_TEST(admitted(lab.director, 200) == 200U);
    ipvs::Sysctls sysctls;
    sysctls.drop_entry = 3;
    lab.director.set(sysctls);
    for (int second = 0; second < 50; ++second) lab.director.advance(1);
    // A connection survives a second with 31/32: a fifth is left of 200, and 60 s are not over.
    BOOST_TEST(lab.director.connections() < 120U);
    BOOST_TEST(lab.slots[0]->totals.connections == lab.director.connections());
}

BOOST_AUTO_TEST_CASE(drop_entry_spares_what_is_established_and_fresh) {
    OneService lab;
    lab.director.receive(syn(40000));
    lab.director.receive((ipv4(server, client) / tcp(8080, 40000).syn().ack()).frame());
    lab.director.receive((ipv4(client, vip) / tcp(40000, 80).ack()).frame());
    ipvs::Sysctls sysctls;
    sysctls.drop_entry = 3;
    lab.director.set(sysctls);
    for (int second = 0; second < 59; ++second) lab.director.advance(1);
    BOOST_TEST(lab.director.connections() == 1U);
    for (int second = 0; second < 700; ++second) lab.director.advance(1);
    BOOST_TEST(lab.director.connections() == 0U);  // its time would be 900 s
}

BOOST_AUTO_TEST_CASE(a_server_is_told_that_nobody_waits_for_its_answer) {
    OneService lab;
    const Bytes stray = (ipv4(server, client).ttl(9) / tcp(8080, 40000).syn().ack()).frame();
    BOOST_TEST(lab.director.receive(stray).punted.size() == 1U);
    ipvs::Sysctls sysctls;
    sysctls.nat_icmp_send = 1;
    lab.director.set(sysctls);
    const auto told = lab.director.receive(stray);
    BOOST_TEST((told.punted.empty() && told.frames.size() == 1U));
    const Bytes on_its_way = (ipv4(server, client).ttl(8) / tcp(8080, 40000).syn().ack()).frame();
    const Bytes seen(on_its_way.begin() + 14, on_its_way.end());
    const auto id = net::load<net::Be16>(told.frames[0].data() + 18).host();
    BOOST_TEST((told.frames[0] == (ipv4(own, server).tos(0xC0).id(id) / icmp(3, 3) / raw(seen)).frame()));
    BOOST_TEST(lab.director.drops(DropReason::unexpected_reply) == 1U);

    const auto told6 = lab.director.receive((ipv6(server6, client6) / tcp(8080, 40000).syn().ack()).frame());
    BOOST_TEST_REQUIRE(told6.frames.size() == 1U);
    BOOST_TEST(std::to_integer<int>(told6.frames[0][54]) == 1);
    BOOST_TEST(std::to_integer<int>(told6.frames[0][55]) == 4);

    // Resets, other ports and answers that somebody waits for go their way.
    BOOST_TEST(lab.director.receive((ipv4(server, client) / tcp(8080, 40000).rst()).frame()).punted.size() == 1U);
    BOOST_TEST(lab.director.receive((ipv4(server, client) / tcp(22, 40000).ack()).frame()).punted.size() == 1U);
    lab.director.receive(syn(40000));
    const auto answered = lab.director.receive(stray);
    BOOST_TEST_REQUIRE(answered.frames.size() == 1U);
    BOOST_TEST((answered.frames[0] == (ipv4(vip, client).ttl(8) / tcp(80, 40000).syn().ack()).frame()));
}

BOOST_AUTO_TEST_CASE(an_error_about_an_unknown_answer_opens_a_connection_if_it_may) {
    OneService lab{udp_number};
    const Bytes answer = (ipv4(vip, client) / udp(80, 4000) / payload(8)).bytes();
    const Bytes error = (ipv4(client, vip).ttl(9) / icmp(3, 3) / raw(answer)).frame();
    BOOST_TEST(lab.director.receive(error).punted.size() == 1U);
    ipvs::Sysctls sysctls;
    sysctls.schedule_icmp = 1;
    lab.director.set(sysctls);
    const auto sent = lab.director.receive(error);
    BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
    BOOST_TEST(lab.director.connections() == 1U);
    // To the server, about what the server sent.
    const Bytes& frame = sent.frames[0];
    const Bytes outer = (ipv4(client, server).ttl(8) / icmp(3, 3) / raw(answer)).frame();
    BOOST_TEST((Bytes(frame.begin() + 14, frame.begin() + 34) == Bytes(outer.begin() + 14, outer.begin() + 34)));
    const Bytes about = (ipv4(server, client) / udp(8080, 4000)).bytes();
    BOOST_TEST((Bytes(frame.begin() + 54, frame.begin() + 66) == Bytes(about.begin() + 12, about.begin() + 24)));
}

BOOST_AUTO_TEST_CASE(an_error_opens_nothing_where_there_is_no_server) {
    Director director;
    director.add_local(vip);
    director.publish(director.service(udp_number, vip, 80));
    ipvs::Sysctls sysctls;
    sysctls.schedule_icmp = 1;
    director.set(sysctls);
    const Bytes answer = (ipv4(vip, client) / udp(80, 4000) / payload(8)).bytes();
    const auto sent = director.receive((ipv4(client, vip) / icmp(3, 3) / raw(answer)).frame());
    BOOST_TEST((sent.frames.empty() && sent.punted.empty()));
    BOOST_TEST(director.drops(DropReason::no_destination) == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
