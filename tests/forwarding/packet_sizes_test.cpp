#include <boost/test/unit_test.hpp>

#include <set>

#include "compat/net/bytes.hpp"
#include "compat/net/ip_address.hpp"
#include "forwarding/pipeline.hpp"
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

/// A director with one UDP service on port 80 of both families and one masqueraded server each.
struct OneService {
    explicit OneService(
        ForwardingMethod method = ForwardingMethod::masquerade, std::uint16_t workers = 1
    )
        : director{workers} {
        director.add_local(vip);
        director.add_local(vip6);
        director.set_own_addresses(own, own6);
        for (const auto& [address, real] : {std::pair{vip, server}, std::pair{vip6, server6}}) {
            Service service = director.service(udp_number, address, 80);
            slots.push_back(&director.add_destination(service, real, 80, method));
            director.publish(std::move(service));
        }
    }

    /// Opens the connection of port 4000, so that answers belong to something.
    void open() {
        director.receive((ipv4(client, vip) / udp(4000, 80) / payload(4)).frame());
        director.receive((ipv6(client6, vip6) / udp(4000, 80) / payload(4)).frame());
    }

    Director director;
    std::vector<DestinationSlot*> slots;
};

std::vector<std::size_t> lengths(const Director::Sent& sent) {
    std::vector<std::size_t> result;
    for (const Bytes& frame : sent.frames) result.push_back(frame.size() - 14);
    return result;
}

using Lengths = std::vector<std::size_t>;

/// An IPv4 datagram that arrives in three pieces of 1500, 1500 and 68 bytes.
Director::Sent receive_in_pieces(
    Director& director, const net::IpAddress& from, const net::IpAddress& to, std::uint16_t port = 4000
) {
    const Bytes datagram = (udp(port, 80) / payload(3000)).bytes();
    const auto piece = [&](std::size_t begin, std::size_t end) {
        const Bytes data(
            datagram.begin() + static_cast<long>(begin), datagram.begin() + static_cast<long>(end)
        );
        return (ipv4(from, to).id(7).fragment(begin, end < datagram.size()) / raw(data, udp_number)).frame();
    };
    director.receive(piece(0, 1480));
    director.receive(piece(1480, 2960));
    return director.receive(piece(2960, datagram.size()));
}

std::uint32_t identification6(const Bytes& frame) {
    return net::load<net::Be32>(frame.data() + 14 + 40 + 4).host();
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(packet_sizes_test, EalFixture)

BOOST_AUTO_TEST_CASE(a_request_is_cut_for_the_route_not_for_the_link) {
    for (const auto method : {ForwardingMethod::masquerade, ForwardingMethod::direct_route}) {
        OneService lab{method};
        lab.slots[0]->set_link_mtu(1300);
        const auto sent = lab.director.receive((ipv4(client, vip) / udp(4000, 80) / payload(1400)).frame());
        BOOST_TEST((lengths(sent) == Lengths{1300, 148}));
        const auto refused =
            lab.director.receive((ipv4(client, vip).df() / udp(4000, 80) / payload(1400)).frame());
        BOOST_TEST_REQUIRE(refused.frames.size() == 1U);
        BOOST_TEST(std::to_integer<int>(refused.frames[0][35]) == 4);
        BOOST_TEST(net::load<net::Be16>(refused.frames[0].data() + 40).host() == 1300U);
    }
}

// The worker that collects a client's fragments knows their size; the owner of the flow is told.
BOOST_AUTO_TEST_CASE(whoever_collected_them_pieces_leave_as_they_came_in) {
    OneService lab{ForwardingMethod::masquerade, 4};
    std::set<WorkerId> owners;
    for (std::uint16_t port = 4000; port < 4032; ++port) {
        BOOST_TEST((lengths(receive_in_pieces(lab.director, client, vip, port)) == Lengths{1500, 1500, 68}));
        owners.insert(lab.director.shared().steering.owner(client.v4(), net::Port{port}));
    }
    BOOST_TEST(owners.size() == 4U);
    std::set<WorkerId> owners6;
    for (std::uint16_t port = 5000; port < 5032; ++port) {
        const Bytes question = (udp(port, 80) / payload(3000)).bytes();
        const auto piece = [&](std::size_t begin, std::size_t end) {
            const Bytes data(
                question.begin() + static_cast<long>(begin), question.begin() + static_cast<long>(end)
            );
            return (ipv6(client6, vip6) / fragment6(begin, end < question.size(), port).next_header(17) /
                    raw(data, udp_number)).frame();
        };
        lab.director.receive(piece(0, 1448));
        lab.director.receive(piece(1448, 2896));
        const auto sent = lab.director.receive(piece(2896, question.size()));
        BOOST_TEST((lengths(sent) == Lengths{1496, 1496, 160}));
        owners6.insert(lab.director.shared().steering.owner(client6.v6(), net::Port{port}));
    }
    BOOST_TEST(owners6.size() == 4U);
    BOOST_TEST(lab.director.drops(DropReason::too_big) == 0U);
}

BOOST_AUTO_TEST_CASE(a_reassembled_request_leaves_in_pieces_like_those_it_came_in) {
    OneService lab;
    BOOST_TEST((lengths(receive_in_pieces(lab.director, client, vip)) == Lengths{1500, 1500, 68}));
}

BOOST_AUTO_TEST_CASE(a_tunnel_packet_is_cut_for_the_route) {
    OneService lab{ForwardingMethod::tunnel};
    const TunnelHeader header = build_tunnel_header(server, own, {});
    lab.slots[0]->tunnel = &header;
    lab.slots[0]->set_link_mtu(1300);
    const auto sent = lab.director.receive((ipv4(client, vip) / udp(4000, 80) / payload(1400)).frame());
    BOOST_TEST((lengths(sent) == Lengths{1300, 168}));
}

BOOST_AUTO_TEST_CASE(the_first_answer_too_is_measured) {
    OneService lab;
    lab.director.add_narrow_route({client, 32}, 1300);
    lab.open();
    const Bytes answer = (ipv4(server, client).ttl(9).df() / udp(80, 4000) / payload(1400)).frame();
    for (int i = 0; i < 2; ++i) {
        const auto told = lab.director.receive(answer);
        BOOST_TEST_REQUIRE(told.frames.size() == 1U);
        const Bytes& error = told.frames[0];
        // From the host itself, to the server, showing the packet as it came.
        const auto id = net::load<net::Be16>(error.data() + 18).host();
        const Bytes quoted(answer.begin() + 14, answer.begin() + 14 + 548);
        BOOST_TEST((error == (ipv4(own, server).tos(0xC0).id(id) / icmp(3, 4, 1300) / raw(quoted)).frame()));
    }
    BOOST_TEST(lab.director.counters().destinations[0].read().out_packets == 0U);
    const auto cut = lab.director.receive((ipv4(server, client) / udp(80, 4000) / payload(1400)).frame());
    BOOST_TEST((lengths(cut) == Lengths{1300, 148}));
    BOOST_TEST(lab.director.counters().destinations[0].read().out_packets == 1U);
}

BOOST_AUTO_TEST_CASE(ipv6_answers_that_are_too_big_are_refused) {
    OneService lab;
    lab.director.add_narrow_route({client6, 128}, 1300);
    lab.open();
    const auto told = lab.director.receive((ipv6(server6, client6) / udp(80, 4000) / payload(1400)).frame());
    BOOST_TEST_REQUIRE(told.frames.size() == 1U);
    BOOST_TEST(std::to_integer<int>(told.frames[0][54]) == 2);
    BOOST_TEST(net::load<net::Be32>(told.frames[0].data() + 58).host() == 1300U);
    // From the host's own address.
    BOOST_TEST((Bytes(told.frames[0].begin() + 22, told.frames[0].begin() + 38) ==
                [] {
                    Bytes bytes;
                    for (const auto byte : own6.bytes()) bytes.push_back(std::byte{byte});
                    return bytes;
                }()));
}

BOOST_AUTO_TEST_CASE(identifications_of_ipv6_fragments_cannot_be_guessed) {
    OneService lab;
    std::set<std::uint32_t> seen;
    std::uint32_t high = 0;
    for (int i = 0; i < 64; ++i) {
        const Bytes datagram = (udp(4000, 80) / payload(3000)).bytes();
        const auto id = static_cast<std::uint32_t>(i);
        const auto piece = [&](std::size_t begin, std::size_t end) {
            const Bytes data(
                datagram.begin() + static_cast<long>(begin), datagram.begin() + static_cast<long>(end)
            );
            return (ipv6(client6, vip6) / fragment6(begin, end < datagram.size(), id).next_header(17) /
                    raw(data, 17))
                .frame();
        };
        lab.director.receive(piece(0, 1448));
        lab.director.receive(piece(1448, 2896));
        const auto sent = lab.director.receive(piece(2896, datagram.size()));
        BOOST_TEST_REQUIRE(sent.frames.size() == 3U);
        seen.insert(identification6(sent.frames[0]));
        high |= identification6(sent.frames[0]) >> 16;
        BOOST_TEST(identification6(sent.frames[0]) == identification6(sent.frames[1]));
    }
    BOOST_TEST(seen.size() >= 60U);
    BOOST_TEST(high != 0U);
    BOOST_TEST((*seen.rbegin() - *seen.begin()) > seen.size());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
