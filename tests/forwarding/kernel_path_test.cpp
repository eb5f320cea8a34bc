#include "forwarding/kernel_path.hpp"

#include <boost/test/unit_test.hpp>

#include "compat/net/bytes.hpp"
#include "compat/net/ip_address.hpp"
#include "forwarding/packet/checksum.hpp"
#include "tests/support/packet_builder.hpp"

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

const auto peer = "10.0.0.1"_ip;
const auto host = "10.0.0.2"_ip;
const auto peer6 = "fe80::1"_ip;
const auto host6 = "ff02::1"_ip;

PuntClass class_of(const Bytes& frame, const HostFlows& flows, Ticks now = 100) {
    return classify_punt(frame.data(), frame.size(), parse(frame, frame.size()), flows, now);
}

/// In flows in which the host has said nothing.
PuntClass class_of(const Bytes& frame) {
    return class_of(frame, HostFlows{1});
}

/// An ICMPv6 message of a type, as far as the class depends on it.
Bytes icmpv6(std::uint8_t type, std::uint8_t hops = 255) {
    Bytes frame = (ipv6(peer6, host6).next_header(58) / payload(24)).frame();
    frame[14 + 40] = std::byte{type};
    frame[14 + 7] = std::byte{hops};
    return frame;
}

/// … as only somebody on the link can send it.
Bytes near(Bytes frame, std::size_t l3_offset = 14) {
    const bool v4 = std::to_integer<int>(frame[l3_offset]) >> 4 == 4;
    frame[l3_offset + (v4 ? 8 : 7)] = std::byte{255};
    if (v4) write_checksum(*net::header_at<Ipv4Header>(frame.data() + l3_offset));
    return frame;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(kernel_path_test)

BOOST_AUTO_TEST_CASE(each_packet_for_the_host_has_its_class) {
    const struct {
        const char* name;
        Bytes frame;
        PuntClass expected;
    } rows[]{
        {"ARP", (ethernet().type(0x0806) / payload(28)).frame(), PuntClass::neighbours},
        {"LACP", (ethernet().type(0x8809) / payload(46)).frame(), PuntClass::control},
        {"VRRP", near((ipv4(peer, "224.0.0.18"_ip).proto(112) / payload(20)).frame()),
         PuntClass::control},
        {"VRRP to one peer", near((ipv4(peer, host).proto(112) / payload(20)).frame()),
         PuntClass::control},
        {"VRRP from afar", (ipv4(peer, host).proto(112) / payload(20)).frame(), PuntClass::rest},
        {"VRRP over IPv6", near((ipv6(peer6, host6).next_header(112) / payload(20)).frame()),
         PuntClass::control},
        {"VRRP in a VLAN",
         near((ethernet() / vlan(7) / ipv4(peer, host).proto(112) / payload(20)).frame(), 18),
         PuntClass::control},
        {"IGMP", (ipv4(peer, "224.0.0.1"_ip).proto(2) / payload(8)).frame(), PuntClass::neighbours},
        {"BFD", near((ipv4(peer, host) / udp(50000, 3784) / payload(24)).frame()),
         PuntClass::control},
        {"BFD from afar", (ipv4(peer, host) / udp(50000, 3784) / payload(24)).frame(),
         PuntClass::unsolicited},
        {"BFD over hops", (ipv4(peer, host) / udp(50000, 4784) / payload(24)).frame(),
         PuntClass::routing},
        {"neighbour solicitation", icmpv6(135), PuntClass::neighbours},
        {"neighbour advertisement", icmpv6(136), PuntClass::neighbours},
        {"one from afar", icmpv6(136, 64), PuntClass::icmp},
        {"multicast listener report", icmpv6(143, 1), PuntClass::neighbours},
        {"BGP to us", (ipv4(peer, host) / tcp(50000, 179).syn()).frame(), PuntClass::unsolicited},
        {"OSPF", (ipv4(peer, "224.0.0.5"_ip).proto(89) / payload(24)).frame(), PuntClass::routing},
        {"ssh to us", (ipv4(peer, host) / tcp(50000, 22).syn()).frame(), PuntClass::unsolicited},
        {"UDP to us", (ipv4(peer, host) / udp(53, 50000) / payload(30)).frame(),
         PuntClass::unsolicited},
        {"connections of an IPVS master", (ipv4(peer, "224.0.0.81"_ip) / udp(50000, 8848)).frame(),
         PuntClass::health},
        {"UDP to a group", (ipv6(peer6, host6) / udp(50000, 5353)).frame(), PuntClass::health},
        {"echo over IPv6", icmpv6(128), PuntClass::icmp},
        {"echo", (ipv4(peer, host).proto(1) / payload(24)).frame(), PuntClass::icmp},
        {"unknown protocol", (ipv4(peer, host).proto(253) / payload(24)).frame(), PuntClass::rest},
        {"unknown EtherType", (ethernet().type(0x88B5) / payload(46)).frame(), PuntClass::rest},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            BOOST_TEST((class_of(row.frame) == row.expected));
        }
    }
}

BOOST_AUTO_TEST_CASE(what_answers_the_host_has_an_allowance_of_its_own) {
    const struct {
        const char* name;
        Bytes sent, answer;
        PuntClass expected;
    } rows[]{
        {"health check", (ipv4(host, peer) / tcp(50000, 80).syn()).frame(),
         (ipv4(peer, host) / tcp(80, 50000).ack()).frame(), PuntClass::health},
        {"over IPv6", (ipv6(host6, peer6) / tcp(50000, 80).syn()).frame(),
         (ipv6(peer6, host6) / tcp(80, 50000).ack()).frame(), PuntClass::health},
        {"DNS", (ipv4(host, peer) / udp(50000, 53)).frame(),
         (ipv4(peer, host) / udp(53, 50000) / payload(30)).frame(), PuntClass::health},
        {"BGP that the host opened", (ipv4(host, peer) / tcp(50000, 179).syn()).frame(),
         (ipv4(peer, host) / tcp(179, 50000).ack()).frame(), PuntClass::routing},
        {"BGP that the peer opened", (ipv4(host, peer) / tcp(179, 50000).ack()).frame(),
         (ipv4(peer, host) / tcp(50000, 179).ack()).frame(), PuntClass::routing},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            HostFlows flows{1};
            BOOST_TEST((class_of(row.answer, flows) == PuntClass::unsolicited));
            flows.sent(parse(row.sent, row.sent.size()), 100);
            BOOST_TEST((class_of(row.answer, flows) == row.expected));
            BOOST_TEST((class_of(row.sent, flows) == PuntClass::unsolicited));
            BOOST_TEST((class_of(row.answer, flows, 100 + HostFlows::memory - 1) == row.expected));
            BOOST_TEST((class_of(row.answer, flows, 100 + HostFlows::memory) == PuntClass::unsolicited));
        }
    }
}

BOOST_AUTO_TEST_CASE(what_the_host_says_to_anybody_makes_no_flow_known) {
    const Bytes again = (ipv4(peer, host) / tcp(50000, 22).syn()).frame();
    const Bytes refusal = (ipv4(host, peer) / tcp(22, 50000).rst().ack()).frame();
    const Bytes acceptance = (ipv4(host, peer) / tcp(22, 50000).syn().ack()).frame();
    const Bytes banner = (ipv4(host, peer) / tcp(22, 50000).ack() / payload(20)).frame();
    HostFlows flows{1};
    for (const Bytes& answer : {refusal, acceptance}) {
        flows.sent(parse(answer, answer.size()), 100);
        BOOST_TEST((class_of(again, flows) == PuntClass::unsolicited));
    }
    flows.sent(parse(banner, banner.size()), 100);
    BOOST_TEST((class_of(again, flows) == PuntClass::health));
}

BOOST_AUTO_TEST_CASE(a_flow_that_goes_on_is_not_forgotten_for_others) {
    HostFlows flows{1};
    const auto packet = [](std::uint16_t port) {
        const Bytes frame = (ipv4(host, peer) / tcp(port, 179).ack()).frame();
        return parse(frame, frame.size());
    };
    const Bytes answer = (ipv4(peer, host) / tcp(179, 1).ack()).frame();
    Ticks now = 100;
    for (unsigned port = 2; port < 60'000; ++port, ++now) {
        if (port % 100 == 0) flows.sent(packet(1), now);
        flows.sent(packet(static_cast<std::uint16_t>(port)), now);
        if (port > 100) BOOST_TEST((class_of(answer, flows, now) == PuntClass::routing));
    }
}

BOOST_AUTO_TEST_CASE(arp_in_a_vlan_is_as_precious_as_without) {
    Bytes frame = (ethernet() / vlan(7) / payload(28)).frame();
    frame[16] = std::byte{0x08};
    frame[17] = std::byte{0x06};
    BOOST_TEST((class_of(frame) == PuntClass::neighbours));
}

BOOST_AUTO_TEST_CASE(a_flood_of_one_class_takes_nothing_from_another) {
    constexpr std::uint64_t hertz = 1'000'000'000;
    PuntPolicer policer;
    policer.configure({{100, 100, 100, 100, 100, 100, 100}}, hertz);
    std::uint64_t now = hertz;
    std::uint64_t admitted = 0;
    for (int i = 0; i < 100'000; ++i, now += 10'000) {
        admitted += policer.admit(PuntClass::rest, now) ? 1U : 0U;
        if (i % 10'000 == 0) BOOST_TEST(policer.admit(PuntClass::control, now));
    }
    // A second of 100 packets, and the quarter that the bucket holds.
    BOOST_TEST(admitted >= 100U);
    BOOST_TEST(admitted <= 127U);
    BOOST_TEST(policer.refused(PuntClass::rest).read() == 100'000U - admitted);
    BOOST_TEST(policer.refused(PuntClass::control).read() == 0U);
}

BOOST_AUTO_TEST_CASE(rate_zero_is_no_limit) {
    PuntPolicer policer;
    policer.configure({{0, 0, 0, 0, 0, 0, 0}}, 1'000'000'000);
    for (int i = 0; i < 10'000; ++i) BOOST_TEST(policer.admit(PuntClass::rest, 1));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
