#include "forwarding/packet/parse.hpp"

#include "compat/net/ip_address.hpp"
#include "tests/support/packet_builder.hpp"

#include <cstdint>
#include <string_view>
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

/// Parses from an exactly sized heap block, so that a sanitizer sees any read beyond it.
Parsed parse_exact(const Bytes& frame, std::size_t readable) {
    const std::vector<std::byte> exact(frame.begin(), frame.begin() + static_cast<long>(readable));
    return parse(exact, frame.size());
}

Parsed parse_frame(const Stack& stack) {
    const Bytes frame = stack.frame();
    return parse_exact(frame, frame.size());
}

PacketKind kind_of(const Stack& stack) {
    return parse_frame(stack).kind;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(parse_test)

BOOST_AUTO_TEST_CASE(a_tcp_packet_yields_flow_offsets_and_flags) {
    const auto p = parse_frame(ipv4(client, vip).ttl(61).df() / tcp(40000, 80).syn() / payload(8));
    BOOST_TEST((p.kind == PacketKind::transport));
    BOOST_TEST((p.family == net::Family::inet));
    BOOST_TEST(p.protocol == 6);
    BOOST_TEST(p.tcp_flags == TcpFlags::syn);
    BOOST_TEST(p.ttl == 61);
    BOOST_TEST(!p.fragmentation_allowed);
    BOOST_TEST(!p.vlan);
    BOOST_TEST(p.l3_offset == 14);
    BOOST_TEST(p.l4_offset == 34);
    BOOST_TEST(p.payload_offset == 54);
    BOOST_TEST(p.l3_length == 48);
    BOOST_TEST(p.l4_length() == 28U);
    const FlowKey<V4> flow{
        client.v4(), vip.v4(), net::Port{std::uint16_t{40000}}, net::Port{std::uint16_t{80}}, 6};
    BOOST_TEST((p.flow4 == flow));
    BOOST_TEST((p.flow<V4>() == flow));
}

BOOST_AUTO_TEST_CASE(options_of_ip_and_tcp_move_the_offsets) {
    const auto p = parse_frame(ipv4(client, vip).options(12) / tcp(1, 2).ack().options(20));
    BOOST_TEST((p.kind == PacketKind::transport));
    BOOST_TEST(p.l4_offset == 14 + 32);
    BOOST_TEST(p.payload_offset == 14 + 32 + 40);
    BOOST_TEST(p.fragmentation_allowed);
}

BOOST_AUTO_TEST_CASE(a_udp_packet_over_ipv6_yields_its_flow) {
    const auto p = parse_frame(ipv6(client6, vip6).hop_limit(3) / udp(5353, 53) / payload(8));
    BOOST_TEST((p.kind == PacketKind::transport));
    BOOST_TEST((p.family == net::Family::inet6));
    BOOST_TEST(p.protocol == 17);
    BOOST_TEST(p.ttl == 3);
    BOOST_TEST(p.l4_offset == 54);
    BOOST_TEST(p.payload_offset == 62);
    BOOST_TEST(p.l3_length == 56);
    BOOST_TEST(
        (p.flow6 ==
         FlowKey<V6>{
             client6.v6(),
             vip6.v6(),
             net::Port{std::uint16_t{5353}},
             net::Port{std::uint16_t{53}},
             17})
    );
}

BOOST_AUTO_TEST_CASE(an_abort_bundled_behind_a_cookie_decides) {
    const Bytes abort{std::byte{6}, std::byte{0}, std::byte{0}, std::byte{4}};
    for (const std::uint8_t cookie : {std::uint8_t{10}, std::uint8_t{11}}) {
        BOOST_TEST(parse_frame(ipv4(client, vip) / sctp(7, 8, cookie) / raw(abort)).tcp_flags == 6);
        BOOST_TEST(parse_frame(ipv4(client, vip) / sctp(7, 8, cookie) / payload(3)).tcp_flags == cookie);
    }
    BOOST_TEST(parse_frame(ipv4(client, vip) / sctp(7, 8, 0) / raw(abort)).tcp_flags == 0);
    // The length of the cookie leads to the next chunk, rounded up to four.
    Sctp padded = sctp(7, 8, 10);
    padded.header[15] = std::byte{7};
    const Bytes data{std::byte{9}, std::byte{9}, std::byte{9}, std::byte{0}};
    BOOST_TEST(parse_frame(ipv4(client, vip) / padded / raw(data) / raw(abort)).tcp_flags == 6);
}

BOOST_AUTO_TEST_CASE(ah_and_esp_have_the_flow_of_the_key_exchange) {
    const net::Port isakmp{std::uint16_t{500}};
    for (const std::uint8_t protocol : {std::uint8_t{50}, std::uint8_t{51}}) {
        const auto p = parse_frame(ipv4(client, vip).proto(protocol) / payload(12));
        BOOST_TEST((p.kind == PacketKind::transport));
        BOOST_TEST(p.protocol == protocol);
        BOOST_TEST((p.flow4 == FlowKey<V4>{client.v4(), vip.v4(), isakmp, isakmp, 17}));
    }
    // In IPv6 AH is an extension header: what follows counts.
    const auto sealed = parse_frame(ipv6(client6, vip6).next_header(50) / payload(12));
    BOOST_TEST((sealed.flow6 == FlowKey<V6>{client6.v6(), vip6.v6(), isakmp, isakmp, 17}));
}

BOOST_AUTO_TEST_CASE(an_sctp_packet_tells_its_first_chunk) {
    const auto p = parse_frame(ipv4(client, vip) / sctp(7, 8, 10) / payload(4));
    BOOST_TEST((p.kind == PacketKind::transport));
    BOOST_TEST(p.protocol == 132);
    BOOST_TEST(p.tcp_flags == 10);
}

BOOST_AUTO_TEST_CASE(up_to_two_vlan_tags_are_looked_through) {
    const auto one = parse_frame(ethernet() / vlan(0x2064) / ipv4(client, vip) / udp(1, 2));
    BOOST_TEST((one.kind == PacketKind::transport));
    BOOST_TEST(one.vlan);
    BOOST_TEST(one.tags[0] == tag_code(0x8100, 0x0064));
    BOOST_TEST(one.tags[1] == 0);
    BOOST_TEST(one.l3_offset == 18);
    const auto two =
        parse_frame(ethernet() / vlan(5, 0x88A8) / vlan(6) / ipv6(client6, vip6) / udp(1, 2));
    BOOST_TEST((two.kind == PacketKind::transport));
    BOOST_TEST(two.tags[0] == tag_code(0x88A8, 5));
    BOOST_TEST(two.tags[1] == tag_code(0x8100, 6));
    BOOST_TEST(tag_code(0x8100, 5) != tag_code(0x88A8, 5));
    BOOST_TEST(two.l3_offset == 22);
    BOOST_TEST(
        (kind_of(ethernet() / vlan(1) / vlan(2) / vlan(3) / ipv4(client, vip)) == PacketKind::other)
    );
}

BOOST_AUTO_TEST_CASE(a_tag_of_priority_only_names_no_vlan) {
    const auto one = parse_frame(ethernet() / vlan(0xE000) / ipv4(client, vip) / udp(1, 2));
    BOOST_TEST(one.vlan);
    BOOST_TEST(one.tags[0] == 0);
    const auto two =
        parse_frame(ethernet() / vlan(0xE000) / vlan(7) / ipv4(client, vip) / udp(1, 2));
    BOOST_TEST(two.tags[0] == tag_code(0x8100, 7));
    BOOST_TEST(two.tags[1] == 0);
}

BOOST_AUTO_TEST_CASE(ethernet_padding_is_not_part_of_the_packet) {
    const Bytes frame = (ipv4(client, vip) / tcp(1, 2)).frame(60);
    const auto p = parse(frame, frame.size());
    BOOST_TEST((p.kind == PacketKind::transport));
    BOOST_TEST(p.l3_length == 40);
}

BOOST_AUTO_TEST_CASE(ipv6_extension_headers_are_walked) {
    const auto p = parse_frame(
        ipv6(client6, vip6) / extension(0, 16) / extension(43, 24) / extension(60) /
        authentication(24) / tcp(1, 2).rst()
    );
    BOOST_TEST((p.kind == PacketKind::transport));
    BOOST_TEST(p.protocol == 6);
    BOOST_TEST(p.flow6.protocol == 6);
    BOOST_TEST(p.l4_offset == 14 + 40 + 16 + 24 + 8 + 24);
    BOOST_TEST(p.tcp_flags == TcpFlags::rst);
}

BOOST_AUTO_TEST_CASE(an_atomic_fragment_is_a_whole_packet) {
    const auto p = parse_frame(ipv6(client6, vip6) / fragment6(0, false) / udp(1, 2));
    BOOST_TEST((p.kind == PacketKind::transport));
    BOOST_TEST(p.l4_offset == 62);
}

BOOST_AUTO_TEST_CASE(fragments_of_transports_go_to_reassembly) {
    const auto first = parse_frame(ipv4(client, vip).fragment(0, true) / udp(1, 2) / payload(8));
    BOOST_TEST((first.kind == PacketKind::fragment));
    BOOST_TEST(!first.later_fragment);
    BOOST_TEST(first.protocol == 17);
    const auto later = parse_frame(ipv4(client, vip).fragment(1480, false).proto(17) / payload(3));
    BOOST_TEST((later.kind == PacketKind::fragment));
    BOOST_TEST(later.later_fragment);
    BOOST_TEST(later.l4_offset == 34);

    const auto first6 = parse_frame(ipv6(client6, vip6) / fragment6(0, true) / udp(1, 2));
    BOOST_TEST((first6.kind == PacketKind::fragment));
    const auto later6 = parse_frame(
        ipv6(client6, vip6) / extension(0) / fragment6(1448, false).next_header(17) / payload(3)
    );
    BOOST_TEST((later6.kind == PacketKind::fragment));
    BOOST_TEST(later6.later_fragment);
    BOOST_TEST(later6.l4_offset == 14 + 40 + 8 + 8);
}

BOOST_AUTO_TEST_CASE(fragments_of_anything_else_are_the_kernels) {
    BOOST_TEST((
        kind_of(ipv4(client, vip).fragment(0, true) / icmp(8, 0) / payload(8)) == PacketKind::other
    ));
    BOOST_TEST(
        (kind_of(ipv6(client6, vip6) / fragment6(0, true) / icmpv6(128, 0)) == PacketKind::other)
    );
}

BOOST_AUTO_TEST_CASE(an_icmp_error_yields_the_embedded_flow) {
    const auto inner = (ipv4(vip, client) / udp(80, 40000) / payload(8)).bytes();
    for (const std::uint8_t type : std::initializer_list<std::uint8_t>{3, 4, 11}) {
        BOOST_TEST_CONTEXT("type " << unsigned{type}) {
            const auto p = parse_frame(ipv4(client, vip) / icmp(type, 1) / raw(inner));
            BOOST_TEST((p.kind == PacketKind::icmp_error));
            BOOST_TEST(p.protocol == 1);
            BOOST_TEST(p.icmp_type == type);
            BOOST_TEST(p.icmp_code == 1);
            BOOST_TEST(p.inner_l3_offset == 42);
            BOOST_TEST(p.inner_l4_offset == 62);
            BOOST_TEST(
                (p.flow4 ==
                 FlowKey<V4>{
                     vip.v4(),
                     client.v4(),
                     net::Port{std::uint16_t{80}},
                     net::Port{std::uint16_t{40000}},
                     17})
            );
        }
    }
}

BOOST_AUTO_TEST_CASE(an_icmpv6_error_yields_the_embedded_flow) {
    const auto inner = (ipv6(vip6, client6) / extension(60) / tcp(80, 40000)).bytes();
    for (const std::uint8_t type : std::initializer_list<std::uint8_t>{1, 2, 3, 4, 100}) {
        BOOST_TEST_CONTEXT("type " << unsigned{type}) {
            const auto p = parse_frame(ipv6(client6, vip6) / icmpv6(type, 0) / raw(inner));
            BOOST_TEST((p.kind == PacketKind::icmp_error));
            BOOST_TEST(p.inner_l3_offset == 14 + 40 + 8);
            BOOST_TEST(p.inner_l4_offset == 14 + 40 + 8 + 40 + 8);
            BOOST_TEST(
                (p.flow6 ==
                 FlowKey<V6>{
                     vip6.v6(),
                     client6.v6(),
                     net::Port{std::uint16_t{80}},
                     net::Port{std::uint16_t{40000}},
                     6})
            );
        }
    }
}

BOOST_AUTO_TEST_CASE(an_icmp_error_needs_no_more_than_the_embedded_ports) {
    auto inner = (ipv4(vip, client) / tcp(80, 40000) / payload(100)).bytes();
    inner.resize(24);
    BOOST_TEST(
        (kind_of(ipv4(client, vip) / icmp(3, 4, 1400) / raw(inner)) == PacketKind::icmp_error)
    );
    inner.resize(23);
    BOOST_TEST((kind_of(ipv4(client, vip) / icmp(3, 4, 1400) / raw(inner)) == PacketKind::other));
}

BOOST_AUTO_TEST_CASE(an_icmp_error_about_a_tunnel_packet_is_recognised) {
    const auto tunnelled =
        (ipv4("192.168.1.1"_ip, "192.168.1.2"_ip) / ipv4(client, vip) / udp(1, 2)).bytes();
    const auto p =
        parse_frame(ipv4("192.168.1.2"_ip, "192.168.1.1"_ip) / icmp(3, 2) / raw(tunnelled));
    BOOST_TEST((p.kind == PacketKind::icmp_error));
    BOOST_TEST(p.flow4.protocol == 4);
    BOOST_TEST(p.flow4.source_port.is_any());
    BOOST_TEST(p.inner_l4_offset == 14 + 20 + 8 + 20);
}

BOOST_AUTO_TEST_CASE(what_the_engine_does_not_balance_is_the_kernels) {
    const auto inner = (ipv4(vip, client) / udp(80, 40000)).bytes();

    const struct {
        const char* name;
        Stack stack;
    } rows[] = {
        {"ARP", ethernet().type(0x0806) / payload(28)},
        {"802.3 length", ethernet().type(38) / payload(38)},
        {"echo request", ipv4(client, vip) / icmp(8, 0) / payload(56)},
        {"redirect", ipv4(client, vip) / icmp(5, 1) / raw(inner)},
        {"parameter problem", ipv4(client, vip) / icmp(12, 0) / raw(inner)},
        {"empty ICMP", ipv4(client, vip).proto(1) / payload(0)},
        {"neighbour solicitation", ipv6(client6, vip6) / icmpv6(135, 0) / payload(16)},
        {"VRRP", ipv4(client, "224.0.0.18"_ip).proto(112) / payload(20)},
        {"GRE", ipv4(client, vip) / gre() / ipv4(client, vip)},
        {"IPv6 no next header", ipv6(client6, vip6) / payload(0)},
        {"error about a later fragment",
         ipv4(client, vip) / icmp(3, 1) /
             raw((ipv4(vip, client).fragment(8, false).proto(17) / payload(8)).bytes())},
        {"error about ICMP",
         ipv4(client, vip) / icmp(3, 1) / raw((ipv4(vip, client) / icmp(8, 0)).bytes())},
        {"error without a packet", ipv4(client, vip) / icmp(3, 1)},
        {"v4 error quoting v6",
         ipv4(client, vip) / icmp(3, 1) / raw((ipv6(vip6, client6) / udp(1, 2)).bytes())},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            BOOST_TEST((kind_of(row.stack) == PacketKind::other));
        }
    }
}

BOOST_AUTO_TEST_CASE(contradicting_lengths_are_malformed) {
    const struct {
        const char* name;
        Stack stack;
    } rows[] = {
        {"version 5", ipv4(client, vip).version_and_length(0x55) / udp(1, 2)},
        {"header length 16", ipv4(client, vip).version_and_length(0x44) / udp(1, 2)},
        {"header longer than packet", ipv4(client, vip).version_and_length(0x4F) / udp(1, 2)},
        {"total length beyond the frame", ipv4(client, vip).total_length(29) / udp(1, 2)},
        {"total length below the header", ipv4(client, vip).total_length(19) / udp(1, 2)},
        {"wrong header checksum", ipv4(client, vip).checksum(1) / udp(1, 2)},
        {"TCP cut", ipv4(client, vip).proto(6) / payload(19)},
        {"TCP header length 16", ipv4(client, vip) / tcp(1, 2).data_offset(4)},
        {"TCP header beyond the packet", ipv4(client, vip) / tcp(1, 2).data_offset(6)},
        {"UDP cut", ipv4(client, vip).proto(17) / payload(7)},
        {"UDP length 7", ipv4(client, vip) / udp(1, 2).length(7)},
        {"UDP length beyond the packet", ipv4(client, vip) / udp(1, 2).length(9)},
        {"SCTP without chunk", ipv4(client, vip).proto(132) / payload(12)},
        {"IPv6 version 4", ipv6(client6, vip6).payload_length(8) / extension(0)},
        {"IPv6 payload beyond the frame", ipv6(client6, vip6).payload_length(9) / udp(1, 2)},
        {"IPv6 extension beyond the packet",
         ipv6(client6, vip6).next_header(60) /
             raw(Bytes{std::byte{17}, std::byte{1}, {}, {}, {}, {}, {}, {}})},
        {"VLAN tag cut", ethernet().type(0x8100) / payload(3)},
        {"IPv4 header cut", ethernet().type(0x0800) / payload(19)},
        {"IPv6 header cut", ethernet().type(0x86DD) / payload(39)},
        {"Ethernet cut", Stack{raw(Bytes(13))}},
    };

    for (const auto& row : rows) {
        if (row.name == std::string_view{"IPv6 version 4"}) {
            auto frame = row.stack.frame();
            frame[14] = std::byte{0x40};
            BOOST_TEST((parse(frame, frame.size()).kind == PacketKind::malformed));
            continue;
        }
        const Bytes frame =
            row.name == std::string_view{"Ethernet cut"} ? row.stack.bytes() : row.stack.frame();
        BOOST_TEST_CONTEXT(row.name) {
            BOOST_TEST((parse_exact(frame, frame.size()).kind == PacketKind::malformed));
        }
    }
}

BOOST_AUTO_TEST_CASE(a_header_outside_the_first_segment_is_malformed) {
    const Bytes frame = (ipv4(client, vip) / tcp(1, 2) / payload(100)).frame();
    BOOST_TEST((parse_exact(frame, 54).kind == PacketKind::transport));
    for (std::size_t readable = 0; readable < 54; ++readable) {
        BOOST_TEST_CONTEXT(readable << " bytes") {
            BOOST_TEST((parse_exact(frame, readable).kind == PacketKind::malformed));
        }
    }
}

BOOST_AUTO_TEST_CASE(an_endless_chain_of_extensions_ends) {
    Stack stack{ipv6(client6, vip6)};
    for (int i = 0; i < 100; ++i) stack /= extension(60);
    stack /= udp(1, 2);
    BOOST_TEST((kind_of(stack) == PacketKind::other));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
