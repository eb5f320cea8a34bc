#include "forwarding/transmit/icmp_reply.hpp"

#include "compat/net/bytes.hpp"
#include "compat/net/ip_address.hpp"
#include "forwarding/packet/packet.hpp"
#include "forwarding/packet/parse.hpp"
#include "tests/support/eal_fixture.hpp"
#include "tests/support/packet_builder.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

const auto client = "10.0.0.100"_ip;
const auto vip = "10.0.0.10"_ip;
const auto client6 = "2001:db8::100"_ip;
const auto vip6 = "2001:db8::10"_ip;

/// The error about `frame` from the virtual address, empty if none is sent.
Bytes error_about(
    const Bytes& frame, IcmpError error, std::uint32_t mtu = 0, std::size_t segment = 200
) {
    const Parsed parsed = parse(frame, frame.size());
    Packet packet{to_mbuf(frame, segment)};
    Packet reply{
        parsed.family == net::Family::inet
            ? make_icmp_error<V4>(packet.mbuf(), parsed, error, mtu, vip.v4())
            : make_icmp_error<V6>(packet.mbuf(), parsed, error, mtu, vip6.v6())};
    BOOST_TEST((to_bytes(packet.mbuf()) == frame));
    return reply ? to_bytes(reply.mbuf()) : Bytes{};
}

/// The same with the identification, which is free, as in `like`.
Bytes expected_v4(const Icmp& icmp, const Bytes& quoted, const Bytes& like) {
    const auto id = net::load<net::Be16>(like.data() + 4).host();
    return (ipv4(vip, client).tos(0xC0).id(id) / icmp / raw(quoted)).bytes();
}

Bytes first(const Bytes& bytes, std::size_t length) {
    return {bytes.begin(), bytes.begin() + static_cast<long>(std::min(length, bytes.size()))};
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(icmp_reply_test, EalFixture)

BOOST_AUTO_TEST_CASE(each_error_has_linuxs_type_and_code) {
    const struct {
        IcmpError error;
        Icmp v4;
        Icmp v6;
    } rows[] = {
        {IcmpError::port_unreachable, icmp(3, 3), icmpv6(1, 4)},
        {IcmpError::host_unreachable, icmp(3, 1), icmpv6(1, 3)},
        {IcmpError::prohibited, icmp(3, 13), icmpv6(1, 1)},
        {IcmpError::time_exceeded, icmp(11, 0), icmpv6(3, 0)},
    };

    const Stack four = ipv4(client, vip).id(0xA63E).ttl(1).df() / udp(40130, 8000) / payload(32);
    const Stack six = ipv6(client6, vip6).hop_limit(1).flow_label(0xAABB9) / tcp(40130, 8000).syn();
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT("type " << std::to_integer<int>(row.v4.header[0])) {
            const Bytes reply = error_about(four.frame(), row.error);
            BOOST_TEST_REQUIRE(reply.size() == 88U);
            BOOST_TEST((reply == expected_v4(row.v4, four.bytes(), reply)));
            BOOST_TEST(
                (error_about(six.frame(), row.error) ==
                 (ipv6(vip6, client6) / row.v6 / raw(six.bytes())).bytes())
            );
        }
    }
}

BOOST_AUTO_TEST_CASE(too_big_tells_the_mtu_and_quotes_one_hop_less) {
    const auto four = [](std::uint8_t ttl) {
        return ipv4(client, vip).df().ttl(ttl) / udp(40010, 8000) / payload(1400);
    };
    const Bytes reply = error_about(four(64).frame(), IcmpError::too_big, 1300);
    BOOST_TEST_REQUIRE(reply.size() == 576U);
    BOOST_TEST((reply == expected_v4(icmp(3, 4, 1300), first(four(63).bytes(), 548), reply)));
    const auto six = [](std::uint8_t hops) {
        return ipv6(client6, vip6).hop_limit(hops) / udp(40100, 8000) / payload(1400);
    };
    const Bytes reply6 = error_about(six(64).frame(), IcmpError::too_big, 1300);
    BOOST_TEST(reply6.size() == 1280U);
    BOOST_TEST(
        (reply6 ==
         (ipv6(vip6, client6) / icmpv6(2, 0, 1300) / raw(first(six(63).bytes(), 1232))).bytes())
    );
}

BOOST_AUTO_TEST_CASE(ethernet_padding_is_not_quoted) {
    const Stack packet = ipv4(client, vip) / tcp(1, 2);
    const Bytes reply = error_about(packet.frame(60), IcmpError::port_unreachable);
    BOOST_TEST((reply == expected_v4(icmp(3, 3), packet.bytes(), reply)));
}

BOOST_AUTO_TEST_CASE(nobody_is_told_about_these) {
    const Bytes quotation = (ipv4(vip, client) / udp(1, 2)).bytes();
    const Bytes quotation6 = (ipv6(vip6, client6) / udp(1, 2)).bytes();
    const net::MacAddress everybody{{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}};

    const struct {
        const char* name;
        Stack stack;
    } rows[] = {
        {"an ICMP error", ipv4(client, vip) / icmp(3, 1) / raw(quotation)},
        {"an ICMPv6 error", ipv6(client6, vip6) / icmpv6(1, 1) / raw(quotation6)},
        {"a later fragment", ipv4(client, vip).fragment(8, true).proto(17) / payload(8)},
        {"a malformed packet", ipv4(client, vip).proto(17) / payload(3)},
        {"a link-layer broadcast", ethernet(everybody) / ipv4(client, vip) / udp(1, 2)},
        {"a multicast packet", ipv4(client, "224.0.0.18"_ip) / udp(1, 2)},
        {"a broadcast packet", ipv4(client, "255.255.255.255"_ip) / udp(1, 2)},
        {"a sender without address", ipv4("0.0.0.0"_ip, vip) / udp(1, 2)},
        {"a loopback sender", ipv4("127.0.0.1"_ip, vip) / udp(1, 2)},
        {"a multicast sender", ipv4("224.0.0.1"_ip, vip) / udp(1, 2)},
        {"an IPv6 multicast packet", ipv6(client6, "ff02::1"_ip) / udp(1, 2)},
        {"an IPv6 sender without address", ipv6("::"_ip, vip6) / udp(1, 2)},
        {"an IPv6 multicast sender", ipv6("ff02::1"_ip, vip6) / udp(1, 2)},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            BOOST_TEST(error_about(row.stack.frame(), IcmpError::host_unreachable).empty());
        }
    }
}

BOOST_AUTO_TEST_CASE(multicast_is_told_that_it_is_too_big) {
    const Stack six = ipv6(client6, "ff05::1"_ip) / udp(1, 2) / payload(1400);
    BOOST_TEST(!error_about(six.frame(), IcmpError::too_big, 1280).empty());
}

BOOST_AUTO_TEST_CASE(an_empty_pool_means_no_error) {
    const Bytes frame = (ipv4(client, vip) / udp(1, 2)).frame();
    Packet packet{to_mbuf(frame)};
    std::vector<Packet> taken;
    while (rte_mbuf* mbuf = rte_pktmbuf_alloc(pool)) taken.emplace_back(mbuf);
    BOOST_TEST(
        make_icmp_error<V4>(
            packet.mbuf(), parse(frame, frame.size()), IcmpError::port_unreachable, 0, vip.v4()
        ) == nullptr
    );
}

BOOST_AUTO_TEST_CASE(errors_are_limited_but_for_path_mtu_discovery) {
    constexpr std::uint64_t hz = 2'000'000'000;
    IcmpErrorLimiter limiter{hz};
    const auto admitted = [&](std::uint64_t tsc, IcmpError error) {
        unsigned n = 0;
        for (int i = 0; i < 2000; ++i) n += limiter.admit(error, tsc) ? 1 : 0;
        return n;
    };
    std::uint64_t now = 1'000 * hz;
    BOOST_TEST(admitted(now, IcmpError::port_unreachable) == 50U);
    BOOST_TEST(admitted(now, IcmpError::too_big) == 2000U);
    now += hz / 100;
    BOOST_TEST(admitted(now, IcmpError::time_exceeded) == 10U);
    now += 60 * hz;
    BOOST_TEST(admitted(now, IcmpError::host_unreachable) == 50U);
    unsigned in_a_second = 0;
    for (int i = 0; i < 100'000; ++i) {
        now += hz / 100'000;
        in_a_second += limiter.admit(IcmpError::port_unreachable, now) ? 1 : 0;
    }
    BOOST_TEST(in_a_second >= 999U);
    BOOST_TEST(in_a_second <= 1000U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
