#include "forwarding/transmit/fragment.hpp"

#include "compat/net/ip_address.hpp"
#include "forwarding/packet/packet.hpp"
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
const auto server = "192.168.1.2"_ip;
const auto client6 = "2001:db8::100"_ip;
const auto server6 = "2001:db8:1::2"_ip;

std::vector<Bytes> collect(const FragmentTrain& train) {
    std::vector<Bytes> result;
    for (std::size_t i = 0; i < train.size; ++i) {
        Packet fragment{train.packets[i]};
        BOOST_TEST(fragment.mbuf()->nb_segs == 1);
        result.push_back(to_bytes(fragment.mbuf()));
    }
    return result;
}

std::vector<Bytes> fragments(const Bytes& frame, std::size_t mtu, std::size_t l3_offset = 14) {
    Packet packet{to_mbuf(frame, 1111)};
    FragmentTrain train;
    const bool v4 = (frame[l3_offset] & std::byte{0xF0}) == std::byte{0x40};
    const bool done = v4 ? fragment_ipv4(packet.mbuf(), l3_offset, mtu, train)
                         : fragment_ipv6(packet.mbuf(), l3_offset, mtu, 0x5447B384, train);
    BOOST_TEST((to_bytes(packet.mbuf()) == frame));
    return done ? collect(train) : std::vector<Bytes>{};
}

Bytes part(const Bytes& bytes, std::size_t offset, std::size_t length) {
    const auto begin = bytes.begin() + static_cast<long>(offset);
    return {begin, begin + static_cast<long>(length)};
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(fragment_test, EalFixture)

BOOST_AUTO_TEST_CASE(ipv4_is_cut_as_linux_cuts_it) {
    const auto ip = [] { return ipv4(client, server).id(0x92A0).ttl(63); };
    const Stack whole = ip() / udp(40060, 80) / payload(3000);
    const Bytes data = part(whole.bytes(), 20, 3008);
    const auto pieces = fragments(whole.frame(), 1500);
    BOOST_TEST_REQUIRE(pieces.size() == 3U);
    BOOST_TEST((pieces[0] == (ip().fragment(0, true).proto(17) / raw(part(data, 0, 1480))).bytes())
    );
    BOOST_TEST(
        (pieces[1] == (ip().fragment(1480, true).proto(17) / raw(part(data, 1480, 1480))).bytes())
    );
    BOOST_TEST(
        (pieces[2] == (ip().fragment(2960, false).proto(17) / raw(part(data, 2960, 48))).bytes())
    );
}

BOOST_AUTO_TEST_CASE(the_share_is_a_multiple_of_eight) {
    const Stack whole = ipv4(client, server) / udp(40020, 80) / payload(1400);
    const auto pieces = fragments(whole.frame(), 1307);
    BOOST_TEST_REQUIRE(pieces.size() == 2U);
    BOOST_TEST(pieces[0].size() == 1300U);
    BOOST_TEST(pieces[1].size() == 148U);
}

BOOST_AUTO_TEST_CASE(a_fragment_can_be_cut_again) {
    const auto ip = [] { return ipv4(client, server).proto(17).df(); };
    const auto frag = [&](std::size_t offset, bool more) {
        auto layer = ip();
        builder::set16(layer.header, 6, 0x4000U | offset / 8 | (more ? 0x2000U : 0U));
        return layer;
    };
    const Bytes data = payload(1480).header;
    const auto pieces = fragments((frag(1480, true) / raw(data)).frame(), 820);
    BOOST_TEST_REQUIRE(pieces.size() == 2U);
    BOOST_TEST((pieces[0] == (frag(1480, true) / raw(part(data, 0, 800))).bytes()));
    BOOST_TEST((pieces[1] == (frag(2280, true) / raw(part(data, 800, 680))).bytes()));
}

BOOST_AUTO_TEST_CASE(only_copied_options_reach_later_fragments) {
    // Record route (7, not copied), then router alert (0x94, copied), then end of list.
    const Bytes options{
        std::byte{7},
        std::byte{7},
        std::byte{4},
        {},
        {},
        {},
        {},
        std::byte{0x94},
        std::byte{4},
        {},
        {},
        {}};
    const auto with_options = [](const Bytes& bytes) {
        auto layer = ipv4(client, server).options(12).proto(17);
        std::copy(bytes.begin(), bytes.end(), layer.header.begin() + 20);
        return layer;
    };
    Bytes later = options;
    std::fill_n(later.begin(), 7, std::byte{1});
    const Bytes data = payload(64).header;
    const auto pieces = fragments((with_options(options) / raw(data)).frame(), 32 + 32);
    BOOST_TEST_REQUIRE(pieces.size() == 2U);
    BOOST_TEST(
        (pieces[0] == (with_options(options).fragment(0, true) / raw(part(data, 0, 32))).bytes())
    );
    BOOST_TEST(
        (pieces[1] == (with_options(later).fragment(32, false) / raw(part(data, 32, 32))).bytes())
    );
}

BOOST_AUTO_TEST_CASE(ipv6_is_cut_as_linux_cuts_it) {
    const auto ip = [] { return ipv6(client6, server6).hop_limit(63).flow_label(0x1CC1D); };
    const auto header = [](std::size_t offset, bool more) {
        return fragment6(offset, more, 0x5447B384).next_header(17);
    };
    const Stack whole = ip() / udp(40060, 80) / payload(3000);
    const Bytes data = part(whole.bytes(), 40, 3008);
    const auto pieces = fragments(whole.frame(), 1500);
    BOOST_TEST_REQUIRE(pieces.size() == 3U);
    BOOST_TEST((pieces[0] == (ip() / header(0, true) / raw(part(data, 0, 1448))).bytes()));
    BOOST_TEST((pieces[1] == (ip() / header(1448, true) / raw(part(data, 1448, 1448))).bytes()));
    BOOST_TEST((pieces[2] == (ip() / header(2896, false) / raw(part(data, 2896, 112))).bytes()));
}

BOOST_AUTO_TEST_CASE(the_fragment_header_follows_what_every_router_reads) {
    const Stack whole = ipv6(client6, server6) / extension(0, 16) / extension(60) /
                        extension(43, 24) / extension(60, 16) / udp(1, 2) / payload(1300);
    const Bytes rest = part(whole.bytes(), 40 + 16 + 8 + 24, 16 + 8 + 1300);
    const auto front = [](std::size_t offset, bool more) {
        return ipv6(client6, server6) / extension(0, 16) / extension(60) / extension(43, 24) /
               fragment6(offset, more, 0x5447B384).next_header(60);
    };
    const auto pieces = fragments(whole.frame(), 1280);
    BOOST_TEST_REQUIRE(pieces.size() == 2U);
    BOOST_TEST((pieces[0] == (front(0, true) / raw(part(rest, 0, 1184))).bytes()));
    BOOST_TEST((pieces[1] == (front(1184, false) / raw(part(rest, 1184, 140))).bytes()));
}

BOOST_AUTO_TEST_CASE(padding_is_not_sent_on) {
    const Stack whole = ipv4(client, server) / udp(1, 2) / payload(16);
    const auto pieces = fragments(whole.frame(60), 36);
    BOOST_TEST_REQUIRE(pieces.size() == 2U);
    BOOST_TEST(pieces[1].size() == 28U);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_cut_yields_nothing) {
    const unsigned before = rte_mempool_avail_count(pool);
    const Stack four = ipv4(client, server) / udp(1, 2) / payload(1400);
    const Stack six = ipv6(client6, server6) / udp(1, 2) / payload(1400);
    BOOST_TEST(fragments(four.frame(), 27).empty());
    BOOST_TEST(fragments(four.frame(), 28).empty());  // 176 pieces
    BOOST_TEST(fragments(six.frame(), 55).empty());
    BOOST_TEST(rte_mempool_avail_count(pool) == before);
}

BOOST_AUTO_TEST_CASE(an_empty_pool_yields_nothing) {
    const Bytes frame = (ipv4(client, server) / udp(1, 2) / payload(1400)).frame();
    Packet packet{to_mbuf(frame)};
    std::vector<Packet> taken;
    while (rte_mbuf* mbuf = rte_pktmbuf_alloc(pool)) taken.emplace_back(mbuf);
    taken.pop_back();
    FragmentTrain train;
    BOOST_TEST(!fragment_ipv4(packet.mbuf(), 14, 1000, train));
    BOOST_TEST(train.size == 0U);
    taken.clear();
    BOOST_TEST(fragment_ipv4(packet.mbuf(), 14, 1000, train));
    BOOST_TEST(collect(train).size() == 2U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
