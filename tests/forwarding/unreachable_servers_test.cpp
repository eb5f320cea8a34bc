#include <boost/test/unit_test.hpp>

#include <memory>
#include <vector>

#include "compat/net/ip_address.hpp"
#include "forwarding/pipeline.hpp"
#include "forwarding/transmit/tunnel.hpp"
#include "tests/support/director.hpp"

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

constexpr std::uint8_t udp_number = 17;
const auto client = "10.0.0.100"_ip;
const auto vip = "203.0.113.10"_ip;
const auto server = "192.168.1.2"_ip;
const auto own = "10.0.0.1"_ip;
const auto client6 = "2001:db8::100"_ip;
const auto vip6 = "2001:db8::10"_ip;
const auto server6 = "2001:db8:1::2"_ip;
const auto own6 = "2001:db8::1"_ip;
constexpr std::uint32_t given_up = 3;  // seconds

/// A director with one UDP service on port 80 of both families, whose servers answer on port 8080 and
/// do not resolve.
struct Lab {
    explicit Lab(ForwardingMethod method = ForwardingMethod::masquerade) {
        director.add_local(vip);
        director.add_local(vip6);
        director.add_local(own);
        director.add_local(own6);
        director.set_own_addresses(own, own6);
        Configuration& tables = director.configuration();
        tables.adjacencies.ensure(1);
        const bool masquerades = method == ForwardingMethod::masquerade;
        for (const auto& [address, real] : {std::pair{vip, server}, std::pair{vip6, server6}}) {
            Service service = director.service(udp_number, address, 80);
            auto& slot = director.add_destination(service, real, masquerades ? 8080 : 80, method);
            slot.adjacency = &tables.adjacencies[1];
            if (method == ForwardingMethod::tunnel) {
                headers.push_back(std::make_unique<TunnelHeader>(
                    build_tunnel_header(real, real.is_v4() ? own : own6, {})
                ));
                slot.tunnel = headers.back().get();
            }
            slots.push_back(&slot);
            director.publish(std::move(service));
        }
    }

    Lab(const Lab&) = delete;
    Lab& operator=(const Lab&) = delete;

    ~Lab() {
        for (auto* slot : slots) slot->tunnel = nullptr;
    }

    /// What is sent when the packet has waited in vain.
    std::vector<Bytes> after(const Bytes& frame) {
        BOOST_TEST(director.receive(frame).frames.empty());
        director.advance(given_up);
        return director.collect_sent().frames;
    }

    Director director;
    std::vector<DestinationSlot*> slots;
    std::vector<std::unique_ptr<TunnelHeader>> headers;
};

Bytes request(std::uint8_t ttl = 64) {
    return (ipv4(client, vip).ttl(ttl) / udp(4000, 80) / payload(8)).frame();
}

Bytes request6(std::uint8_t ttl = 64) {
    return (ipv6(client6, vip6).hop_limit(ttl) / udp(4000, 80) / payload(8)).frame();
}

/// The IP packet in a frame.
Bytes inside(const Bytes& frame) { return {frame.begin() + 14, frame.end()}; }

/// An error's quotation.
Bytes quoted(const Bytes& frame, const net::IpAddress& to) {
    return {frame.begin() + 14 + (to.is_v4() ? 20 : 40) + 8, frame.end()};
}

struct Seen {
    net::IpAddress from, to;
    int type, code;
};

Seen outer(const Bytes& frame) {
    const bool v4 = (std::to_integer<int>(frame[14]) >> 4) == 4;
    const std::size_t icmp = 14 + (v4 ? 20 : 40);
    Seen seen{{}, {}, std::to_integer<int>(frame[icmp]), std::to_integer<int>(frame[icmp + 1])};
    if (v4) {
        seen.from = net::load<net::Ipv4Address>(frame.data() + 14 + 12);
        seen.to = net::load<net::Ipv4Address>(frame.data() + 14 + 16);
    } else {
        seen.from = net::load<net::Ipv6Address>(frame.data() + 14 + 8);
        seen.to = net::load<net::Ipv6Address>(frame.data() + 14 + 24);
    }
    return seen;
}

void check_error(const std::vector<Bytes>& sent, const net::IpAddress& from, const Bytes& about) {
    BOOST_TEST_REQUIRE(sent.size() == 1U);
    const Seen seen = outer(sent[0]);
    const bool v4 = from.is_v4();
    BOOST_TEST((seen.from == from));
    BOOST_TEST((seen.to == net::IpAddress{v4 ? client : client6}));
    BOOST_TEST(seen.type == (v4 ? 3 : 1));
    BOOST_TEST(seen.code == (v4 ? 1 : 3));
    BOOST_TEST((quoted(sent[0], from) == inside(about)));
    // Parsing checks the header's checksum, and here that of the error.
    rte_mbuf* packet = to_mbuf(sent[0]);
    const Parsed parsed = parse({sent[0].data(), sent[0].size()}, sent[0].size());
    BOOST_TEST((parsed.kind == PacketKind::icmp_error));
    BOOST_TEST(has_valid_transport_checksum(packet, parsed));
    rte_pktmbuf_free(packet);
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(unreachable_servers_test, EalFixture)

// The kernel's own error passes LOCAL_OUT, where it is translated back: it quotes the request as the
// client sent it, one hop later.
BOOST_AUTO_TEST_CASE(the_client_of_a_masqueraded_server_hears_it_from_the_virtual_address) {
    Lab lab;
    const auto sent = lab.after(request());
    BOOST_TEST_REQUIRE(sent.size() == 1U);
    // The transport checksum of a quotation is that of the translated packet, as in the kernel.
    Bytes about = request(63);
    const Bytes quotation = quoted(sent[0], vip);
    std::copy_n(quotation.begin() + 26, 2, about.begin() + 14 + 26);
    check_error(sent, vip, about);
    BOOST_TEST(lab.director.drops(DropReason::neighbour_unresolved) == 1U);
    const auto& counted = lab.director.counters().destinations[0];
    BOOST_TEST(counted.out_packets.read() == 1U);
}

BOOST_AUTO_TEST_CASE(so_does_that_of_ipv6) {
    Lab lab;
    const auto sent = lab.after(request6());
    BOOST_TEST_REQUIRE(sent.size() == 1U);
    Bytes about = request6(63);
    const Bytes quotation = quoted(sent[0], vip6);
    std::copy_n(quotation.begin() + 46, 2, about.begin() + 14 + 46);
    check_error(sent, vip6, about);
}

BOOST_AUTO_TEST_CASE(with_direct_routing_the_director_speaks_for_itself) {
    Lab lab{ForwardingMethod::direct_route};
    check_error(lab.after(request()), own, request(63));
    // icmp6_send: the packet is for an address of the host, so that is who answers.
    check_error(lab.after(request6()), vip6, request6(63));
}

BOOST_AUTO_TEST_CASE(what_was_in_a_tunnel_packet_is_reported_as_if_a_router_had_refused_it) {
    Lab lab{ForwardingMethod::tunnel};
    check_error(lab.after(request()), vip, request(63));
    // Linux: ip_vs_in_icmp_v6 does not look into tunnel packets.
    BOOST_TEST(lab.after(request6()).empty());
}

BOOST_AUTO_TEST_CASE(each_packet_that_waited_is_reported) {
    Lab lab{ForwardingMethod::direct_route};
    for (int i = 0; i < 3; ++i) lab.director.receive(request());
    lab.director.advance(given_up);
    BOOST_TEST(lab.director.collect_sent().frames.size() == 3U);
    lab.director.advance(given_up);
    BOOST_TEST(lab.director.collect_sent().frames.empty());
}

BOOST_AUTO_TEST_CASE(errors_about_servers_are_limited_like_others) {
    Lab lab{ForwardingMethod::direct_route};
    Configuration& tables = lab.director.configuration();
    // Eight servers have all the room there is: more than the limiter lets through at once.
    for (std::uint16_t port = 1001; port <= 1008; ++port) {
        Service service = lab.director.service(udp_number, vip, port);
        auto& slot = lab.director.add_destination(service, server, port, ForwardingMethod::direct_route);
        slot.adjacency = &tables.adjacencies[1];
        lab.director.publish(std::move(service));
        for (int i = 0; i < 16; ++i) {
            lab.director.receive((ipv4(client, vip) / udp(4000, port) / payload(8)).frame());
        }
    }
    lab.director.advance(given_up);
    const auto sent = lab.director.collect_sent().frames.size();
    BOOST_TEST(lab.director.drops(DropReason::neighbour_unresolved) == 128U);
    BOOST_TEST(sent >= IcmpErrorLimiter::burst);
    BOOST_TEST(sent < 128U);
}

BOOST_AUTO_TEST_CASE(what_no_connection_can_translate_back_is_reported_as_it_stands) {
    Lab lab;
    Service service = lab.director.service(udp_number, vip, 81);
    service.flags.word |= ipvs::ServiceFlags::one_packet;
    auto& slot = lab.director.add_destination(service, server, 8080);
    slot.adjacency = &lab.director.configuration().adjacencies[1];
    lab.director.publish(std::move(service));
    const auto sent = lab.after((ipv4(client, vip) / udp(4000, 81) / payload(8)).frame());
    check_error(sent, own, (ipv4(client, server).ttl(63) / udp(4000, 8080) / payload(8)).frame());
}

BOOST_AUTO_TEST_CASE(later_fragments_and_errors_are_not_reported) {
    Lab lab{ForwardingMethod::direct_route};
    lab.director.receive(request());
    const Bytes error =
        (ipv4("10.0.0.200"_ip, vip) / icmp(3, 1) / raw((ipv4(vip, client) / udp(80, 4000)).bytes())).frame();
    lab.director.advance(given_up);
    lab.director.collect_sent();
    BOOST_TEST(lab.after(error).empty());
}

BOOST_AUTO_TEST_CASE(the_server_hears_that_its_client_is_gone) {
    Lab lab;
    Configuration& tables = lab.director.configuration();
    const Adjacency* neighbour = tables.adjacencies[0].node.load();
    tables.adjacencies[1].node = neighbour;  // the server is there
    BOOST_TEST(lab.director.receive(request()).frames.size() == 1U);
    tables.adjacencies[0].node = nullptr;
    const Bytes answer = (ipv4(server, client) / udp(8080, 4000) / payload(8)).frame();
    BOOST_TEST(lab.director.receive(answer).frames.empty());
    lab.director.advance(given_up);
    const auto sent = lab.director.collect_sent().frames;
    BOOST_TEST_REQUIRE(sent.size() == 1U);
    const Seen seen = outer(sent[0]);
    BOOST_TEST((seen.to == net::IpAddress{server}));
    BOOST_TEST(seen.type == 3);
    BOOST_TEST(seen.code == 1);
    tables.adjacencies[0].node = neighbour;
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
