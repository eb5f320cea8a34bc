#include <boost/test/unit_test.hpp>

#include "compat/net/ip_address.hpp"
#include "forwarding/pipeline.hpp"
#include "forwarding/transmit/bond.hpp"
#include "tests/support/director.hpp"

#include <set>

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

const auto client = "10.0.0.100"_ip;
const auto vip = "203.0.113.10"_ip;
const auto server = "10.50.0.2"_ip;
const auto client6 = "2001:db8::100"_ip;
const auto vip6 = "2001:db8::10"_ip;
const auto server6 = "2001:db8:50::2"_ip;
const auto here = "192.0.2.1"_ip;
const auto there = "192.0.2.2"_ip;
const auto here6 = "2001:db8:1::1"_ip;
const auto there6 = "2001:db8:1::2"_ip;
constexpr std::uint32_t device = 40;

/// A director with one masqueraded server of each family, and a tunnel device between two hosts.
struct Lab {
    explicit Lab(std::uint16_t workers = 1) : director{workers} {
        serve(vip, server);
        serve(vip6, server6);
        director.add_local(here);
        director.add_local(here6);
    }

    void serve(const net::IpAddress& address, const net::IpAddress& real) {
        director.add_local(address);
        Service service = director.service(6, address, 80);
        slots.push_back(&director.add_destination(service, real, 8080));
        director.publish(std::move(service));
    }

    /// Packets between the two come out of the device.
    void receive_through(const TunnelKey& key) {
        auto ingress = std::make_unique<TunnelIngress>();
        ingress->key = key;
        ingress->interface = ingress->input = device;
        auto& configuration = director.configuration();
        configuration.tunnels.insert(std::move(ingress), reclaimer);
        ++configuration.tunnel_count;
    }

    QuiescentState quiescence;
    Reclaimer reclaimer{quiescence};
    Director director;
    std::vector<DestinationSlot*> slots;
};

Bytes without_ethernet(Bytes frame) {
    frame.erase(frame.begin(), frame.begin() + 14);
    return frame;
}

const Stack request = ipv4(client, vip) / tcp(40000, 80).syn();
const Bytes translated =
    (ipv4(client, server).ttl(63) / tcp(40000, 8080).syn()).frame();

}  // namespace

BOOST_FIXTURE_TEST_SUITE(tunnel_packets_test, EalFixture)

BOOST_AUTO_TEST_CASE(a_request_out_of_a_tunnel_is_balanced_like_any_other) {
    for (const auto& local : {here, "0.0.0.0"_ip}) {
        Lab lab;
        lab.receive_through({local, there, 0, 4, false});
        const auto sent = lab.director.receive(
            (ipv4(there, here) / ipv4(client, vip) / tcp(40000, 80).syn()).frame()
        );
        BOOST_TEST(sent.punted.empty());
        BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
        BOOST_TEST((sent.frames[0] == translated));
    }
}

BOOST_AUTO_TEST_CASE(only_the_family_inside_needs_a_service) {
    const struct {
        const char* name;
        TunnelKey key;
        Bytes frame;
        bool v4_inside;
    } rows[]{
        {"IPv6 in IPv4", {here, there, 0, 41, false},
         (ipv4(there, here) / ipv6(client6, vip6) / tcp(40000, 80).syn()).frame(), false},
        {"IPv4 in IPv6", {here6, there6, 0, 4, false},
         (ipv6(there6, here6) / ipv4(client, vip) / tcp(40000, 80).syn()).frame(), true},
    };
    for (const auto& row : rows) {
        for (const bool inside_is_served : {true, false}) {
            BOOST_TEST_CONTEXT(row.name << (inside_is_served ? ", served" : ", not served")) {
                Lab lab;
                lab.receive_through(row.key);
                auto& configuration = lab.director.configuration();
                const bool only_v4 = row.v4_inside == inside_is_served;
                (only_v4 ? configuration.services_v6 : configuration.services_v4) = 0;
                const auto sent = lab.director.receive(row.frame);
                BOOST_TEST(sent.frames.size() == (inside_is_served ? 1U : 0U));
                BOOST_TEST(sent.punted.size() == (inside_is_served ? 0U : 1U));
                if (!inside_is_served) BOOST_TEST((sent.punted.at(0) == row.frame));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(a_packet_that_nobody_here_wants_goes_to_the_kernel_as_it_came) {
    Lab lab;
    lab.receive_through({here, there, 0, 4, false});
    const Bytes foreign = (ipv4(there, here) / ipv4(client, server) / udp(7, 9)).frame();
    const Bytes echo = (ipv4(there, here) / ipv4(client, vip) / icmp(8, 0)).frame();
    const Bytes stranger = (ipv4(client, here) / ipv4(client, vip) / tcp(40000, 80).syn()).frame();
    const Bytes passing = (ipv4(there, client) / ipv4(client, vip) / tcp(40000, 80).syn()).frame();
    const Bytes broken = (ipv4(there, here) / raw({std::byte{0x45}}, 4)).frame();
    for (const Bytes& frame : {foreign, echo, stranger, passing, broken}) {
        const auto sent = lab.director.receive(frame);
        BOOST_TEST(sent.frames.empty());
        BOOST_TEST_REQUIRE(sent.punted.size() == 1U);
        BOOST_TEST((sent.punted[0] == frame));
    }
    BOOST_TEST(lab.director.connections() == 0U);
}

/// RFC 6040: a packet inside that cannot say it must be dropped, which the kernel does.
BOOST_AUTO_TEST_CASE(a_mark_of_congestion_outside_is_taken_inside) {
    Lab lab;
    lab.receive_through({here, there, 0, 4, false});
    lab.receive_through({here6, there6, 0, 41, false});
    constexpr int not_capable = 0, capable_1 = 1, capable_0 = 2, marked = 3, service = 0xB8;
    for (const int outside : {not_capable, capable_0, marked}) {
        for (const int inside : {not_capable, capable_1, capable_0, marked}) {
            const auto in = static_cast<std::uint8_t>(service | inside);
            const auto out = static_cast<std::uint8_t>(outside);
            const auto port = static_cast<std::uint16_t>(40000 + 10 * outside + inside);
            const Bytes frames[] = {
                (ipv4(there, here).tos(out) / ipv4(client, vip).tos(in) / tcp(port, 80).syn()).frame(),
                (ipv6(there6, here6).traffic_class(out) / ipv6(client6, vip6).traffic_class(in) /
                 tcp(port, 80).syn()).frame(),
            };
            const int becomes = outside == marked ? marked : inside;
            const auto expected = static_cast<std::uint8_t>(service | becomes);
            const Bytes results[] = {
                (ipv4(client, server).tos(expected).ttl(63) / tcp(port, 8080).syn()).frame(),
                (ipv6(client6, server6).traffic_class(expected).hop_limit(63) /
                 tcp(port, 8080).syn()).frame(),
            };
            const bool is_dropped = outside == marked && inside == not_capable;
            for (std::size_t i = 0; i < 2; ++i) {
                BOOST_TEST_CONTEXT("outside " << outside << ", inside " << inside << ", way " << i) {
                    const auto sent = lab.director.receive(frames[i]);
                    BOOST_TEST_REQUIRE(sent.frames.size() == (is_dropped ? 0U : 1U));
                    BOOST_TEST_REQUIRE(sent.punted.size() == (is_dropped ? 1U : 0U));
                    BOOST_TEST((is_dropped ? sent.punted[0] == frames[i] : sent.frames[0] == results[i]));
                }
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(ignore_tunneled_leaves_what_comes_out_of_a_tunnel_to_the_host) {
    Lab lab;
    lab.receive_through({here, there, 0, 4, false});
    const Bytes frame = (ipv4(there, here) / ipv4(client, vip) / tcp(40000, 80).syn()).frame();
    ipvs::Sysctls sysctls;
    for (const int ignored : {1, 0}) {
        sysctls.ignore_tunneled = ignored;
        lab.director.set(sysctls);
        const auto sent = lab.director.receive(frame);
        BOOST_TEST(sent.punted.size() == (ignored != 0 ? 1U : 0U));
        BOOST_TEST(sent.frames.size() == (ignored != 0 ? 0U : 1U));
    }
}

BOOST_AUTO_TEST_CASE(an_answer_out_of_a_tunnel_finds_its_connection_whoever_receives_it) {
    Lab lab{2};
    lab.receive_through({here, there, 0, 4, false});
    for (const WorkerId worker : {WorkerId{0}, WorkerId{1}}) {
        lab.director.receive(request.frame(), worker);
        const auto sent = lab.director.receive(
            (ipv4(there, here) / ipv4(server, client) / tcp(8080, 40000).syn().ack()).frame(), worker
        );
        BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
        BOOST_TEST(
            (sent.frames[0] == (ipv4(vip, client).ttl(63) / tcp(80, 40000).syn().ack()).frame())
        );
    }
}

BOOST_AUTO_TEST_CASE(both_families_fit_in_both_and_in_gre) {
    Lab lab;
    lab.receive_through({here, there, 0, 41, false});
    lab.receive_through({here6, there6, 0, 4, false});
    lab.receive_through({here6, there6, 0, 47, false});
    const Bytes frames[] = {
        (ipv4(there, here) / ipv6(client6, vip6) / tcp(40000, 80).syn()).frame(),
        (ipv6(there6, here6) / ipv4(client, vip) / tcp(40000, 80).syn()).frame(),
        (ipv6(there6, here6) / gre() / ipv6(client6, vip6) / tcp(40000, 80).syn()).frame(),
    };
    for (const Bytes& frame : frames) {
        BOOST_TEST(lab.director.receive(frame).frames.size() == 1U);
    }
    const Bytes checked =
        (ipv6(there6, here6) / gre(true) / ipv4(client, vip) / tcp(40000, 80).syn()).frame();
    BOOST_TEST(lab.director.receive(checked).punted.size() == 1U);
}

BOOST_AUTO_TEST_CASE(what_goes_into_a_tunnel_gets_its_header_and_goes_to_the_other_end) {
    Lab lab;
    auto& configuration = lab.director.configuration();
    configuration.adjacencies.ensure(1);
    Adjacency into;
    into.interface = device;
    into.mtu = 1480;
    auto way = std::make_unique<TunnelWay>();
    way->header = build_tunnel_header(there, here, ipvs::Tunnel{});
    way->header.time_to_live = 99;
    way->header.inherits_service = false;
    way->header.dont_fragment = true;
    way->slot = &configuration.adjacencies[0];
    way->interface = 1;
    way->neighbour = Director::gateway();
    into.tunnel = std::move(way);
    configuration.adjacencies[1].node = &into;
    for (auto* slot : lab.slots) slot->adjacency = &configuration.adjacencies[1];

    const auto sent = lab.director.receive(request.frame());
    BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
    const Bytes inside = without_ethernet(translated);
    const Bytes& frame = sent.frames[0];
    BOOST_TEST_REQUIRE(frame.size() == 14 + 20 + inside.size());
    BOOST_TEST((Bytes(frame.begin() + 34, frame.end()) == inside));
    const Bytes outer{frame.begin() + 14, frame.begin() + 34};
    BOOST_TEST(std::to_integer<int>(outer[8]) == 99);
    BOOST_TEST(std::to_integer<int>(outer[6]) == 0x40);
    BOOST_TEST(builder::internet_checksum(outer) == 0);

    // Nobody is at the other end's address: it waits, and goes once somebody is.
    const Adjacency* neighbour = configuration.adjacencies[0].node.exchange(nullptr);
    BOOST_TEST(lab.director.receive((ipv4(client, vip) / tcp(40001, 80).syn()).frame()).frames.empty());
    configuration.adjacencies[0].node = neighbour;
    lab.director.advance(1);
    BOOST_TEST(lab.director.collect_sent().frames.size() == 1U);
    configuration.adjacencies[1].node = nullptr;
}

BOOST_AUTO_TEST_CASE(a_bond_spreads_what_its_policy_tells_apart) {
    Adjacency bond;
    bond.l2_length = 14;
    bond.member_count = 2;
    bond.members = {3, 4};
    std::uint32_t turn = 0;
    const auto members = [&](Spread spread, auto&& frame) {
        bond.spread = spread;
        std::set<PortIndex> seen;
        for (std::uint16_t port = 1000; port < 1064; ++port) {
            const Bytes bytes = frame(port);
            seen.insert(bond_member(bond, net::Family::inet, bytes.data(), bytes.size(), turn));
        }
        return seen;
    };
    const auto by_port = [](std::uint16_t port) {
        return (ipv4(vip, client) / tcp(80, port)).frame();
    };
    const auto by_host = [](std::uint16_t number) {
        return (ipv4(vip, net::Ipv4Address{std::uint32_t{0x0A000000U + number}}) / tcp(80, 9)).frame();
    };
    const auto fragment = [](std::uint16_t port) {
        return (ipv4(vip, client).fragment(0, true) / tcp(80, port)).frame();
    };
    BOOST_TEST(members(Spread::flow, by_port).size() == 2U);
    BOOST_TEST(members(Spread::flow, by_host).size() == 2U);
    BOOST_TEST(members(Spread::flow, fragment).size() == 1U);
    BOOST_TEST(members(Spread::addresses, by_port).size() == 1U);
    BOOST_TEST(members(Spread::addresses, by_host).size() == 2U);
    turn = 0;
    const Bytes one = by_port(1);
    bond.spread = Spread::turn;
    for (const int expected : {3, 4, 3, 4}) {
        BOOST_TEST(bond_member(bond, net::Family::inet, one.data(), one.size(), turn) == expected);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
