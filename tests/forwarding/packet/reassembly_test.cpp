#include "forwarding/packet/reassembly.hpp"

#include "compat/net/ip_address.hpp"
#include "forwarding/packet/packet.hpp"
#include "forwarding/packet/parse.hpp"
#include "forwarding/transmit/fragment.hpp"
#include "tests/support/eal_fixture.hpp"
#include "tests/support/packet_builder.hpp"

#include <algorithm>
#include <cstdint>
#include <random>
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

struct Fixture : EalFixture {
    Reassembly reassembly{42, {64, 256}};
    Ticks now = 1000;
    std::uint16_t largest = 0;

    /// The frame of the whole packet once it is there, else empty.
    Bytes add(const Bytes& frame, std::size_t segment = 2048) {
        const Parsed parsed = parse(frame, frame.size());
        BOOST_TEST_REQUIRE((parsed.kind == PacketKind::fragment));
        const auto result = reassembly.add(to_mbuf(frame, segment), parsed, now);
        if (result.packet == nullptr) return {};
        Packet packet{result.packet};
        largest = result.largest_fragment;
        const Bytes bytes = to_bytes(packet.mbuf());
        BOOST_TEST(packet.length() == bytes.size());
        // Headers must be readable in the first segment again.
        const Parsed whole = parse(packet.first_segment(), packet.length());
        BOOST_TEST((whole.kind == PacketKind::transport || whole.kind == PacketKind::other));
        return bytes;
    }

    Bytes add(const Stack& stack) { return add(stack.frame()); }

    ~Fixture() { BOOST_TEST(reassembly.fragments() <= 256U); }
};

/// Bytes [begin, end) of a UDP datagram with 100 bytes of payload, as a fragment.
const Bytes datagram = [] {
    const Bytes bytes = (ipv4(client, vip) / udp(40000, 80) / payload(100)).bytes();
    return Bytes{bytes.begin() + 20, bytes.end()};
}();

Ipv4 header(std::uint16_t id = 7) {
    return ipv4(client, vip).id(id).proto(17);
}

Stack piece(std::size_t begin, std::size_t end, Ipv4 ip = header()) {
    return ip.fragment(begin, end != datagram.size()) /
           raw(
               {datagram.begin() + static_cast<long>(begin),
                datagram.begin() + static_cast<long>(end)}
           );
}

const Bytes whole = (header() / raw(datagram)).frame();

}  // namespace

BOOST_FIXTURE_TEST_SUITE(reassembly_test, Fixture)

BOOST_AUTO_TEST_CASE(fragments_in_any_order_make_the_packet) {
    std::vector<Stack> pieces{piece(0, 8), piece(8, 64), piece(64, 72), piece(72, 108)};
    std::vector<std::size_t> order{0, 1, 2, 3};
    do {
        Bytes result;
        for (const std::size_t i : order) {
            BOOST_TEST(result.empty());
            result = add(pieces[i]);
        }
        BOOST_TEST((result == whole));
        BOOST_TEST(largest == 76);
        BOOST_TEST(reassembly.datagrams() == 0U);
        BOOST_TEST(reassembly.fragments() == 0U);
    } while (std::next_permutation(order.begin(), order.end()));
}

BOOST_AUTO_TEST_CASE(datagrams_do_not_mix) {
    BOOST_TEST(add(piece(0, 64)).empty());
    BOOST_TEST(add(piece(64, 108, header(8))).empty());
    BOOST_TEST(add(piece(64, 108, ipv4(client, "10.0.0.11"_ip).id(7).proto(17))).empty());
    BOOST_TEST(add(piece(64, 108, ipv4("10.0.0.101"_ip, vip).id(7).proto(17))).empty());
    BOOST_TEST(add(piece(64, 108, ipv4(client, vip).id(7).proto(6))).empty());
    BOOST_TEST(reassembly.datagrams() == 5U);
    BOOST_TEST((add(piece(64, 108)) == whole));
    BOOST_TEST(reassembly.datagrams() == 4U);
}

BOOST_AUTO_TEST_CASE(a_repeated_fragment_changes_nothing) {
    BOOST_TEST(add(piece(0, 64)).empty());
    BOOST_TEST(add(piece(0, 64)).empty());
    BOOST_TEST(add(piece(8, 32)).empty());
    BOOST_TEST(reassembly.fragments() == 1U);
    BOOST_TEST((add(piece(64, 108)) == whole));
}

BOOST_AUTO_TEST_CASE(contradictions_end_the_datagram) {
    const struct {
        const char* name;
        Stack first;
        Stack second;
    } rows[] = {
        {"overlap behind", piece(0, 64), piece(56, 72)},
        {"overlap before", piece(56, 72), piece(0, 64)},
        {"overlap around", piece(16, 24), piece(8, 32)},
        {"second end", piece(64, 108), header().fragment(8, false) / payload(4)},
        {"beyond the end", header().fragment(64, false) / payload(4), piece(72, 80)},
        {"end before data", piece(72, 80), header().fragment(16, false) / payload(8)},
        {"uneven", piece(0, 64), header().fragment(64, true) / payload(7)},
        {"empty", piece(0, 64), header().fragment(64, true) / payload(0)},
        {"too long", piece(0, 64), header().fragment(65528, false) / payload(8)},
        {"ECN that cannot be", piece(0, 64, header().tos(1)), piece(64, 108, header().tos(0))},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            BOOST_TEST(add(row.first).empty());
            BOOST_TEST(reassembly.fragments() == 1U);
            BOOST_TEST(add(row.second).empty());
            BOOST_TEST(reassembly.datagrams() == 0U);
            BOOST_TEST(reassembly.fragments() == 0U);
        }
    }
}

BOOST_AUTO_TEST_CASE(congestion_seen_by_one_fragment_marks_the_packet) {
    BOOST_TEST(add(piece(0, 64, header().tos(0x2A))).empty());
    BOOST_TEST(
        (add(piece(64, 108, header().tos(0x2B))) == (header().tos(0x2B) / raw(datagram)).frame())
    );
}

BOOST_AUTO_TEST_CASE(df_survives_if_the_largest_fragment_had_it) {
    const auto df = [](std::size_t begin, std::size_t end) {
        auto ip = header();
        Stack stack = piece(begin, end, ip);
        Bytes frame = stack.frame();
        auto& h = *net::header_at<Ipv4Header>(frame.data() + 14);
        h.fragment = net::Be16{static_cast<std::uint16_t>(h.fragment.host() | 0x4000)};
        write_checksum(h);
        return frame;
    };
    BOOST_TEST(add(df(0, 64)).empty());
    BOOST_TEST((add(piece(64, 108)) == (header().df() / raw(datagram)).frame()));
    BOOST_TEST(add(df(64, 108)).empty());
    BOOST_TEST((add(piece(0, 64)) == whole));
}

BOOST_AUTO_TEST_CASE(an_incomplete_datagram_is_given_up_in_time) {
    BOOST_TEST(add(piece(0, 64)).empty());
    now += Reassembly::timeout_v4 - 1;
    for (int i = 0; i < 16; ++i) reassembly.expire(now);
    BOOST_TEST(reassembly.datagrams() == 1U);
    now += 1;
    for (int i = 0; i < 16; ++i) reassembly.expire(now);
    BOOST_TEST(reassembly.datagrams() == 0U);
    BOOST_TEST(reassembly.fragments() == 0U);
    // Unnoticed by expire(), too.
    BOOST_TEST(add(piece(0, 64)).empty());
    now += Reassembly::timeout_v4;
    BOOST_TEST(add(piece(64, 108)).empty());
}

BOOST_AUTO_TEST_CASE(a_flood_costs_a_bounded_number_of_mbufs) {
    const unsigned before = rte_mempool_avail_count(pool);
    for (std::uint16_t id = 0; id < 5000; ++id) {
        BOOST_TEST(add(piece(0, 64, header(id))).empty());
        BOOST_TEST_REQUIRE(reassembly.datagrams() <= 64U);
        BOOST_TEST_REQUIRE(reassembly.fragments() == reassembly.datagrams());
    }
    BOOST_TEST(before - rte_mempool_avail_count(pool) == reassembly.fragments());
    // Few datagrams of many fragments.
    for (std::uint16_t id = 0; id < 10; ++id) {
        for (std::size_t i = 0; i < 120; ++i) {
            BOOST_TEST_REQUIRE(add(header(id).fragment(i * 8, true) / payload(8)).empty());
            BOOST_TEST_REQUIRE(reassembly.fragments() <= 256U);
        }
    }
    // The newest still comes through.
    BOOST_TEST(add(piece(0, 64)).empty());
    BOOST_TEST((add(piece(64, 108)) == whole));
}

BOOST_AUTO_TEST_CASE(one_datagram_has_a_limited_number_of_fragments) {
    for (std::size_t i = 0; i < Reassembly::max_fragments; ++i) {
        BOOST_TEST(add(header().fragment(i * 8, true) / payload(8)).empty());
    }
    BOOST_TEST(reassembly.fragments() == Reassembly::max_fragments);
    BOOST_TEST(add(header().fragment(Reassembly::max_fragments * 8, true) / payload(8)).empty());
    BOOST_TEST(reassembly.fragments() == 0U);
}

BOOST_AUTO_TEST_CASE(ethernet_padding_does_not_get_in_between) {
    BOOST_TEST(add(piece(0, 8).frame(60)).empty());
    BOOST_TEST(add(piece(8, 16).frame(60)).empty());
    BOOST_TEST((add(piece(16, 108).frame()) == whole));
}

BOOST_AUTO_TEST_CASE(an_ipv6_packet_loses_its_fragment_header) {
    const Stack front = ipv6(client6, vip6) / extension(0, 16) / extension(43, 24);
    const Bytes all =
        (ipv6(client6, vip6) / extension(0, 16) / extension(43, 24) / udp(1, 2) / payload(100))
            .frame();
    const Bytes data{all.begin() + 14 + 40 + 16 + 24, all.end()};
    const auto cut = [&](std::size_t begin, std::size_t end) {
        return front / fragment6(begin, end != data.size(), 99).next_header(17) /
               raw({data.begin() + static_cast<long>(begin), data.begin() + static_cast<long>(end)}
               );
    };
    BOOST_TEST(add(cut(48, 108)).empty());
    BOOST_TEST(add(cut(8, 48)).empty());
    BOOST_TEST((add(cut(0, 8)) == all));
    BOOST_TEST(largest == 40 + 16 + 24 + 8 + 60);
}

BOOST_AUTO_TEST_CASE(cutting_and_joining_restores_the_packet) {
    const auto seed = std::random_device{}();
    BOOST_TEST_CONTEXT("seed " << seed) {
        std::mt19937_64 random{seed};
        std::size_t wrong = 0;
        for (int i = 0; i < 300; ++i) {
            const std::size_t size = random() % 9000;
            const std::size_t mtu = std::max<std::size_t>(100 + random() % 1500, size / 100 + 100);
            const bool v4 = random() % 2 == 0;
            const Bytes frame =
                v4 ? (header().options(random() % 3 * 4) / udp(1, 2) / payload(size)).frame()
                   : (ipv6(client6, vip6) / extension(0) / udp(1, 2) / payload(size)).frame();
            Packet packet{to_mbuf(frame, 500)};
            FragmentTrain train;
            const bool cut = v4 ? fragment_ipv4(packet.mbuf(), 14, mtu, train)
                                : fragment_ipv6(packet.mbuf(), 14, mtu, 77, train);
            BOOST_TEST_REQUIRE(cut);
            std::vector<Bytes> pieces;
            for (std::size_t n = 0; n < train.size; ++n) {
                Packet fragment{train.packets[n]};
                pieces.push_back(to_bytes(fragment.mbuf()));
                pieces.back().insert(pieces.back().begin(), frame.begin(), frame.begin() + 14);
            }
            if (pieces.size() < 2) continue;
            for (std::size_t n = random() % 4; n-- > 0;)
                pieces.push_back(pieces[random() % pieces.size()]);
            std::shuffle(pieces.begin(), pieces.end(), random);
            std::size_t complete = 0;
            for (const Bytes& bytes : pieces) {
                const Bytes result = add(bytes, 200 + random() % 1800);
                if (result.empty()) continue;
                ++complete;
                if (result != frame) ++wrong;
                break;
            }
            if (complete != 1) ++wrong;
        }
        BOOST_TEST(wrong == 0U);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
