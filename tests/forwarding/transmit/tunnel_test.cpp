#include "forwarding/transmit/tunnel.hpp"

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
using ipvs::Tunnel;
using ipvs::TunnelType;

const auto client = "10.0.0.100"_ip;
const auto vip = "10.0.0.10"_ip;
const auto client6 = "2001:db8::100"_ip;
const auto vip6 = "2001:db8::10"_ip;
const auto director = "192.168.1.1"_ip;
const auto server = "192.168.1.2"_ip;
const auto director6 = "2001:db8:1::1"_ip;
const auto server6 = "2001:db8:1::2"_ip;

constexpr std::uint64_t flow_hash = 0x8000000012345678;
constexpr std::uint16_t hashed_port = 32768 + 28232 / 2;

Tunnel tunnel_of(TunnelType type, std::uint16_t flags = 0) {
    return {type, net::Port{static_cast<std::uint16_t>(type == TunnelType::gue ? 6080 : 0)}, flags};
}

/// `bytes` (a frame) through the tunnel; the outer identification counter starts at 7.
Bytes through(const Bytes& bytes, const TunnelHeader& header, bool path_mtu_discovery = true) {
    const Parsed parsed = parse(bytes, bytes.size());
    Packet packet{to_mbuf(bytes, 256)};
    std::uint16_t identification = 7;
    const Encapsulation how{flow_hash, identification, path_mtu_discovery};
    const bool done = parsed.family == net::Family::inet
                          ? encapsulate<V4>(packet.mbuf(), parsed, header, how)
                          : encapsulate<V6>(packet.mbuf(), parsed, header, how);
    BOOST_TEST_REQUIRE(done);
    BOOST_TEST(packet.length() == packet.mbuf()->pkt_len);
    return to_bytes(packet.mbuf());
}

TunnelHeader over4(const Tunnel& tunnel) {
    return build_tunnel_header(server, director, tunnel);
}

TunnelHeader over6(const Tunnel& tunnel) {
    return build_tunnel_header(server6, director6, tunnel);
}

Layer gue(std::uint8_t protocol) {
    return raw(Bytes{std::byte{0}, std::byte{protocol}, std::byte{0}, std::byte{0}});
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(tunnel_test, EalFixture)

BOOST_AUTO_TEST_CASE(ip_in_ip_copies_what_linux_copies) {
    // DF clear: identification from the counter; CE leaves as ECT(0).
    const Stack inner =
        ipv4(client, vip).tos(0x2B).ttl(39).id(0x5FC2) / udp(40020, 80) / payload(32);
    BOOST_TEST(
        (through(inner.frame(), over4(tunnel_of(TunnelType::ipip))) ==
         (ipv4(director, server).tos(0x2A).ttl(39).id(8) /
          ipv4(client, vip).tos(0x2B).ttl(39).id(0x5FC2) / udp(40020, 80) / payload(32))
             .bytes())
    );
}

BOOST_AUTO_TEST_CASE(dont_fragment_is_copied_and_needs_no_identification) {
    const Bytes inner = (ipv4(client, vip).tos(2).df() / tcp(40020, 80) / payload(32)).frame();
    const auto outer = [](Ipv4 header) {
        return (header / ipv4(client, vip).tos(2).df() / tcp(40020, 80) / payload(32)).bytes();
    };
    const auto header = over4(tunnel_of(TunnelType::ipip));
    BOOST_TEST((through(inner, header) == outer(ipv4(director, server).tos(2).df())));
    BOOST_TEST((through(inner, header, false) == outer(ipv4(director, server).tos(2).id(8))));
}

BOOST_AUTO_TEST_CASE(every_pair_of_families_goes_through_ip_in_ip) {
    const auto plain = tunnel_of(TunnelType::ipip);
    const Stack in4 = ipv4(client, vip).df().tos(0x28).ttl(5) / udp(1, 2) / payload(301);
    const Stack in6 = ipv6(client6, vip6).traffic_class(0x2B).flow_label(0xCED95).hop_limit(39) /
                      udp(40020, 80) / payload(32);
    BOOST_TEST((
        through(in6.frame(), over6(plain)) ==
        (ipv6(director6, server6).traffic_class(0x2A).hop_limit(39) / raw(in6.bytes(), 41)).bytes()
    ));
    BOOST_TEST(
        (through(in6.frame(), over4(plain)) ==
         (ipv4(director, server).tos(0x2A).ttl(39).id(8) / raw(in6.bytes(), 41)).bytes())
    );
    BOOST_TEST(
        (through(in4.frame(), over6(plain)) ==
         (ipv6(director6, server6).traffic_class(0x28).hop_limit(5) / raw(in4.bytes(), 4)).bytes())
    );
}

BOOST_AUTO_TEST_CASE(remote_checksum_offload_leaves_a_partial_checksum_to_the_far_end) {
    constexpr std::uint16_t remote = TunnelFlags::remote_checksum;
    const auto header = over4(tunnel_of(TunnelType::gue, remote));
    const Stack whole = ipv4(client, vip).df().ttl(39) / tcp(40010, 80).ack() / payload(32);
    // Half a checksum: of the pseudo-header alone, 10.0.0.100 + 10.0.0.10 + 6 + 52.
    const std::uint16_t half = 0x0A00 + 0x0064 + 0x0A00 + 0x000A + 6 + 52;
    const Stack partial =
        ipv4(client, vip).df().ttl(39) / tcp(40010, 80).ack().checksum(half) / payload(32);
    const Bytes frame = partial.frame();
    const Parsed parsed = parse(frame, frame.size());
    Packet packet{to_mbuf(frame, 256)};
    BOOST_TEST_REQUIRE(complete_partial_checksum(packet.mbuf(), parsed));
    BOOST_TEST((to_bytes(packet.mbuf()) == whole.frame()));
    BOOST_TEST(option_length(*packet.mbuf(), parsed, header) == 8U);
    std::uint16_t identification = 7;
    BOOST_TEST_REQUIRE(encapsulate<V4>(packet.mbuf(), parsed, header, {flow_hash, identification}));
    // Option words 2, IPv4, private flags follow; remote checksum; from byte 20 to field 36.
    Bytes option{std::byte{2}, std::byte{4}, std::byte{0}, std::byte{1}, std::byte{0x80}};
    option.resize(8);
    for (const int byte : {0, 20, 0, 36}) option.push_back(static_cast<std::byte>(byte));
    const Bytes inner = partial.bytes();
    option.insert(option.end(), inner.begin(), inner.end());
    BOOST_TEST(
        (to_bytes(packet.mbuf()) ==
         (ipv4(director, server).df().ttl(39) / udp(hashed_port, 6080) / raw(option)).bytes())
    );
    // A packet that came whole has no use for it.
    BOOST_TEST(
        (through(whole.frame(), header) == through(whole.frame(), over4(tunnel_of(TunnelType::gue, 1))))
    );
}

BOOST_AUTO_TEST_CASE(gue_has_a_hashed_source_port_and_a_checksum_on_demand) {
    for (const std::size_t size : {0, 1, 700}) {
        const Stack in4 = ipv4(client, vip).df().ttl(39) / tcp(40010, 80) / payload(size);
        const Stack in6 = ipv6(client6, vip6) / tcp(40010, 80) / payload(size);
        const Layer four = raw(in4.bytes());
        const Layer six = raw(in6.bytes());
        const auto plain = tunnel_of(TunnelType::gue);
        BOOST_TEST_CONTEXT(size << " bytes") {
            BOOST_TEST(
                (through(in4.frame(), over4(plain)) ==
                 (ipv4(director, server).ttl(39).df() / udp(hashed_port, 6080).checksum(0) /
                  gue(4) / four)
                     .bytes())
            );
            BOOST_TEST(
                (through(in6.frame(), over6(plain)) ==
                 (ipv6(director6, server6) / udp(hashed_port, 6080).checksum(0) / gue(41) / six)
                     .bytes())
            );
            for (const std::uint16_t flag : {TunnelFlags::checksum, TunnelFlags::remote_checksum}) {
                const auto summed = tunnel_of(TunnelType::gue, flag);
                BOOST_TEST(
                    (through(in4.frame(), over4(summed)) ==
                     (ipv4(director, server).ttl(39).df() / udp(hashed_port, 6080) / gue(4) / four)
                         .bytes())
                );
                BOOST_TEST(
                    (through(in6.frame(), over6(summed)) ==
                     (ipv6(director6, server6) / udp(hashed_port, 6080) / gue(41) / six).bytes())
                );
                BOOST_TEST((
                    through(in4.frame(), over6(summed)) == (ipv6(director6, server6).hop_limit(39) /
                                                            udp(hashed_port, 6080) / gue(4) / four)
                                                               .bytes()
                ));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(gre_names_the_inner_protocol_and_sums_on_demand) {
    const Stack in4 = ipv4(client, vip).df() / tcp(40010, 80) / payload(501);
    const Stack in6 = ipv6(client6, vip6) / udp(40010, 80) / payload(501);
    Layer four = raw(in4.bytes());
    four.ether_type = 0x0800;
    Layer six = raw(in6.bytes());
    six.ether_type = 0x86DD;
    for (const bool summed : {false, true}) {
        const auto tunnel =
            tunnel_of(TunnelType::gre, summed ? TunnelFlags::checksum : std::uint16_t{0});
        BOOST_TEST_CONTEXT("checksum " << summed) {
            BOOST_TEST(
                (through(in4.frame(), over4(tunnel)) ==
                 (ipv4(director, server).df() / gre(summed) / four).bytes())
            );
            BOOST_TEST(
                (through(in6.frame(), over4(tunnel)) ==
                 (ipv4(director, server).id(8) / gre(summed) / six).bytes())
            );
            BOOST_TEST(
                (through(in6.frame(), over6(tunnel)) ==
                 (ipv6(director6, server6) / gre(summed) / six).bytes())
            );
        }
    }
}

BOOST_AUTO_TEST_CASE(ethernet_padding_stays_outside_the_tunnel) {
    const Stack inner = ipv4(client, vip).df() / tcp(1, 2);
    BOOST_TEST(
        (through(inner.frame(60), over4(tunnel_of(TunnelType::ipip))) ==
         (ipv4(director, server).df() / ipv4(client, vip).df() / tcp(1, 2)).bytes())
    );
}

BOOST_AUTO_TEST_CASE(a_vlan_tag_stays_outside_the_tunnel) {
    const Bytes frame = (ethernet() / vlan(7) / ipv4(client, vip).df() / tcp(1, 2)).frame();
    BOOST_TEST(
        (through(frame, over4(tunnel_of(TunnelType::ipip))) ==
         (ipv4(director, server).df() / ipv4(client, vip).df() / tcp(1, 2)).bytes())
    );
}

BOOST_AUTO_TEST_CASE(without_headroom_nothing_is_done) {
    const Bytes frame = (ipv4(client, vip) / tcp(1, 2)).frame();
    const Parsed parsed = parse(frame, frame.size());
    Packet packet{to_mbuf(frame)};
    while (packet.prepend(1) != nullptr) {
    }
    BOOST_TEST_REQUIRE(packet.cut_front(5));
    BOOST_TEST_REQUIRE(rte_pktmbuf_headroom(packet.mbuf()) == 5);
    const Bytes before = to_bytes(packet.mbuf());
    std::uint16_t identification = 0;
    BOOST_TEST(!encapsulate<V4>(
        packet.mbuf(), parsed, over4(tunnel_of(TunnelType::ipip)), {flow_hash, identification}
    ));
    BOOST_TEST((to_bytes(packet.mbuf()) == before));
}

BOOST_AUTO_TEST_CASE(the_flow_hash_spreads_over_linuxs_local_ports) {
    const Bytes frame = (ipv4(client, vip).df() / tcp(1, 2)).frame();
    const Parsed parsed = parse(frame, frame.size());
    const auto port_of = [&](std::uint64_t hash) {
        Packet packet{to_mbuf(frame)};
        std::uint16_t identification = 0;
        const bool done = encapsulate<V4>(
            packet.mbuf(), parsed, over4(tunnel_of(TunnelType::gue)), {hash, identification}
        );
        BOOST_TEST_REQUIRE(done);
        return net::load<net::Port>(packet.at(20)).host();
    };
    BOOST_TEST(port_of(0) == 32768);
    BOOST_TEST(port_of(~std::uint64_t{0}) == 60999);
}

BOOST_AUTO_TEST_CASE(overheads_are_the_kernels) {
    const struct {
        TunnelType type;
        std::uint16_t flags;
        std::uint32_t over_v4;
        std::uint32_t over_v6;
    } rows[] = {
        {TunnelType::ipip, 0, 20, 40},
        {TunnelType::gue, 0, 32, 52},
        {TunnelType::gue, TunnelFlags::checksum, 32, 52},
        {TunnelType::gre, 0, 24, 44},
        {TunnelType::gre, TunnelFlags::checksum, 28, 48},
    };

    for (const auto& row : rows) {
        const auto tunnel = tunnel_of(row.type, row.flags);
        BOOST_TEST(tunnel_mtu(over4(tunnel), 1500) == 1500 - row.over_v4);
        BOOST_TEST(tunnel_mtu(over6(tunnel), 1500) == 1500 - row.over_v6);
    }
}

BOOST_AUTO_TEST_CASE(a_too_big_packet_is_refused_or_fragmented_as_its_header_says) {
    const auto verdict = [](const Stack& stack, std::uint32_t mtu) {
        const Bytes frame = stack.frame();
        return check_mtu(parse(frame, frame.size()), mtu);
    };
    BOOST_TEST(
        (verdict(ipv4(client, vip).df() / udp(1, 2) / payload(972), 1000) == MtuVerdict::fits)
    );
    BOOST_TEST(
        (verdict(ipv4(client, vip).df() / udp(1, 2) / payload(973), 1000) == MtuVerdict::too_big)
    );
    BOOST_TEST((verdict(ipv4(client, vip) / udp(1, 2) / payload(973), 1000) == MtuVerdict::fragment)
    );
    BOOST_TEST(
        (verdict(ipv6(client6, vip6) / udp(1, 2) / payload(953), 1000) == MtuVerdict::too_big)
    );
}

BOOST_AUTO_TEST_CASE(a_tunnel_is_checked_against_what_it_leaves) {
    const auto ipip = tunnel_of(TunnelType::ipip);
    const auto verdict =
        [](const Stack& stack, const TunnelHeader& header, std::uint32_t mtu, bool discovery = true
        ) {
            const Bytes frame = stack.frame();
            return check_tunnel_mtu(parse(frame, frame.size()), header, mtu, discovery);
        };
    const Stack df = ipv4(client, vip).df() / udp(1, 2) / payload(1453);  // 1481 bytes
    const Stack clear = ipv4(client, vip) / udp(1, 2) / payload(1453);
    const Stack six = ipv6(client6, vip6) / udp(1, 2) / payload(1433);  // 1481 bytes
    const Stack small = ipv4(client, vip) / udp(1, 2);
    BOOST_TEST((verdict(df, over4(ipip), 1501) == MtuVerdict::fits));
    BOOST_TEST((verdict(df, over4(ipip), 1500) == MtuVerdict::too_big));
    BOOST_TEST((verdict(df, over4(ipip), 1500, false) == MtuVerdict::fragment));
    BOOST_TEST((verdict(clear, over4(ipip), 1500) == MtuVerdict::fragment));
    BOOST_TEST((verdict(six, over4(ipip), 1500) == MtuVerdict::too_big));
    BOOST_TEST((verdict(six, over4(ipip), 1500, false) == MtuVerdict::too_big));
    BOOST_TEST((verdict(small, over4(ipip), 87) == MtuVerdict::drop));
    BOOST_TEST((verdict(small, over4(ipip), 88) == MtuVerdict::fits));
    BOOST_TEST((verdict(small, over6(ipip), 1319) == MtuVerdict::drop));
    BOOST_TEST((verdict(small, over6(ipip), 1320) == MtuVerdict::fits));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
