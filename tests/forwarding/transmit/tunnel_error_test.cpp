#include <boost/test/unit_test.hpp>

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
const auto own = "192.168.1.1"_ip;
const auto router = "192.168.1.254"_ip;

/// A director with one tunnelled UDP service on port 80.
struct OneTunnel {
    explicit OneTunnel(const ipvs::Tunnel& tunnel, std::uint16_t workers = 1)
        : header{build_tunnel_header(server, own, tunnel)}, director{workers} {
        director.add_local(vip);
        director.add_local(own);
        Service service = director.service(udp_number, vip, 80);
        slot = &director.add_destination(service, server, 80, ForwardingMethod::tunnel);
        slot->tunnel = &header;
        director.publish(std::move(service));
    }

    TunnelHeader header;
    Director director;
    DestinationSlot* slot = nullptr;
};

const Bytes request = (ipv4(client, vip).ttl(64).df() / udp(4000, 80) / payload(200)).frame();

/// What a router says about a tunnel packet, of which it quotes `quoted` bytes.
Bytes error_about(const Bytes& tunnelled, std::size_t quoted, const Icmp& error) {
    const std::size_t length = std::min(quoted, tunnelled.size() - 14);
    const Bytes inner(tunnelled.begin() + 14, tunnelled.begin() + 14 + static_cast<long>(length));
    return (ipv4(router, own) / error / raw(inner)).frame();
}

const struct {
    const char* name;
    ipvs::Tunnel tunnel;
} tunnels[] = {
    {"ipip", {ipvs::TunnelType::ipip, net::Port{}, 0}},
    {"gue", {ipvs::TunnelType::gue, net::Port{std::uint16_t{6080}}, 0}},
    {"gue with checksum", {ipvs::TunnelType::gue, net::Port{std::uint16_t{6080}}, 1}},
    {"gre", {ipvs::TunnelType::gre, net::Port{}, 0}},
    {"gre with checksum", {ipvs::TunnelType::gre, net::Port{}, 1}},
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(tunnel_error_test, EalFixture)

BOOST_AUTO_TEST_CASE(an_error_about_a_tunnel_packet_reaches_the_client_from_the_virtual_address) {
    for (const auto& row : tunnels) {
        BOOST_TEST_CONTEXT(row.name) {
            OneTunnel lab{row.tunnel};
            const auto sent = lab.director.receive(request);
            BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
            const auto told = lab.director.receive(error_about(sent.frames[0], 576, icmp(3, 1, 7)));
            BOOST_TEST(told.punted.empty());
            BOOST_TEST_REQUIRE(told.frames.size() == 1U);
            Bytes seen = request;
            seen = (ipv4(client, vip).ttl(63).df() / udp(4000, 80) / payload(200)).bytes();
            const auto id = net::load<net::Be16>(told.frames[0].data() + 18).host();
            BOOST_TEST(
                (told.frames[0] == (ipv4(vip, client).tos(0xC0).id(id) / icmp(3, 1, 7) / raw(seen)).frame())
            );
            BOOST_TEST(lab.director.counters().destinations[0].read().out_packets == 1U);
        }
    }
}

BOOST_AUTO_TEST_CASE(the_client_learns_what_the_path_leaves_it_and_so_does_the_director) {
    for (const auto& row : tunnels) {
        BOOST_TEST_CONTEXT(row.name) {
            OneTunnel lab{row.tunnel};
            const auto sent = lab.director.receive(request);
            const auto told = lab.director.receive(error_about(sent.frames[0], 576, icmp(3, 4, 1400)));
            BOOST_TEST_REQUIRE(told.frames.size() == 1U);
            const auto mtu = net::load<net::Be16>(told.frames[0].data() + 40).host();
            BOOST_TEST(mtu == 1400U - lab.header.length);
            const Bytes large = (ipv4(client, vip).df() / udp(4000, 80) / payload(1400)).frame();
            BOOST_TEST(lab.director.receive(large).frames.size() == 1U);
            BOOST_TEST(lab.director.drops(DropReason::too_big) == 1U);
            lab.director.advance(601);
            BOOST_TEST(lab.director.receive(large).frames.size() == 1U);
            BOOST_TEST(lab.director.drops(DropReason::too_big) == 1U);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_client_that_allows_fragments_is_not_bothered_about_sizes) {
    OneTunnel lab{tunnels[0].tunnel};
    const auto sent = lab.director.receive((ipv4(client, vip) / udp(4000, 80) / payload(200)).frame());
    const auto told = lab.director.receive(error_about(sent.frames[0], 576, icmp(3, 4, 1400)));
    BOOST_TEST((told.frames.empty() && told.punted.empty()));
    BOOST_TEST(lab.slot->route_mtu == 1400U);
}

BOOST_AUTO_TEST_CASE(errors_about_others_are_the_kernels) {
    OneTunnel lab{tunnels[0].tunnel};
    const auto sent = lab.director.receive(request);
    // Too short for the ports inside, another server, nobody's flow.
    BOOST_TEST(lab.director.receive(error_about(sent.frames[0], 40, icmp(3, 1))).punted.size() == 1U);
    const Bytes inner = (ipv4(client, vip) / udp(4000, 80) / payload(8)).bytes();
    const Bytes elsewhere = (ethernet() / ipv4(own, "192.168.1.9"_ip).proto(4) / raw(inner)).frame();
    BOOST_TEST(lab.director.receive(error_about(elsewhere, 576, icmp(3, 1))).punted.size() == 1U);
    const Bytes unknown = (ipv4(client, vip) / udp(4001, 80) / payload(8)).bytes();
    const Bytes nobody = (ethernet() / ipv4(own, server).proto(4) / raw(unknown)).frame();
    BOOST_TEST(lab.director.receive(error_about(nobody, 576, icmp(3, 1))).punted.size() == 1U);
}

BOOST_AUTO_TEST_CASE(the_error_finds_the_worker_that_owns_the_flow) {
    for (WorkerId from = 0; from < 4; ++from) {
        OneTunnel lab{tunnels[0].tunnel, 4};
        const auto sent = lab.director.receive(request, 1);
        BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
        const auto told = lab.director.receive(error_about(sent.frames[0], 576, icmp(3, 1)), from);
        BOOST_TEST(told.frames.size() == 1U);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
