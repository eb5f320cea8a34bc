#include "forwarding/steering.hpp"

#include <array>
#include <atomic>
#include <poll.h>
#include <set>
#include <thread>
#include <vector>

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::forwarding;

namespace {

net::Ipv6Address v6(std::uint32_t low) {
    net::Ipv6Address::Bytes bytes{0x20, 0x01, 0x0d, 0xb8};
    for (unsigned i = 0; i < 4; ++i) bytes[12 + i] = static_cast<std::uint8_t>(low >> (24 - 8 * i));
    return net::Ipv6Address{bytes};
}

/// Packets that carry a number, and belong to nobody's pool.
std::vector<rte_mbuf> numbered(std::uint32_t count) {
    std::vector<rte_mbuf> packets(count);
    for (std::uint32_t i = 0; i < count; ++i) packets[i].pkt_len = i;
    return packets;
}

bool rings_within(int doorbell, int milliseconds) {
    pollfd waiting{doorbell, POLLIN, 0};
    return poll(&waiting, 1, milliseconds) == 1;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(steering_test)

BOOST_AUTO_TEST_CASE(an_endpoint_always_has_the_same_owner_and_all_workers_get_a_fair_part) {
    for (const std::uint16_t workers : std::initializer_list<std::uint16_t>{1, 2, 3, 8, 32}) {
        const Steering steering{workers};
        constexpr unsigned endpoints = 64'000;
        std::vector<unsigned> share_v4(workers);
        std::vector<unsigned> share_v6(workers);
        for (unsigned i = 0; i < endpoints; ++i) {
            // Clients behind one address, and many addresses with one port.
            const net::Port port{static_cast<std::uint16_t>(i % 2 == 0 ? 1024 + i / 2 : 4242)};
            const std::uint32_t address = i % 2 == 0 ? 0x0A000001 : 0x0B000000 + i;
            const WorkerId owner = steering.owner(net::Ipv4Address{address}, port);
            BOOST_TEST_REQUIRE(owner < workers);
            BOOST_TEST_REQUIRE(owner == steering.owner(net::Ipv4Address{address}, port));
            ++share_v4[owner];
            ++share_v6[steering.owner(v6(address), port)];
        }
        const unsigned fair = endpoints / workers;
        for (const unsigned share : share_v4) BOOST_TEST(share > fair * 8 / 10);
        for (const unsigned share : share_v6) BOOST_TEST(share > fair * 8 / 10);
    }
}

BOOST_AUTO_TEST_CASE(packets_reach_their_owner_in_order_and_a_full_ring_takes_what_fits) {
    HandOver hand_over{2};
    auto packets = numbered(2 * HandOver::packets_waiting);
    std::vector<rte_mbuf*> given;
    for (auto& packet : packets) given.push_back(&packet);
    const unsigned taken = hand_over.give(1, given.data(), static_cast<unsigned>(given.size()));
    BOOST_TEST(taken > 0U);
    BOOST_TEST(taken < given.size());
    BOOST_TEST(!hand_over.pending(0));
    BOOST_TEST(hand_over.pending(1));
    std::vector<rte_mbuf*> arrived(given.size());
    BOOST_TEST(hand_over.take(1, arrived.data(), static_cast<unsigned>(arrived.size())) == taken);
    for (unsigned i = 0; i < taken; ++i) BOOST_TEST_REQUIRE(arrived[i] == given[i]);
    BOOST_TEST(!hand_over.pending(1));
}

BOOST_AUTO_TEST_CASE(the_doorbell_rings_for_a_sleeper_only) {
    HandOver hand_over{2};
    rte_mbuf packet{};
    rte_mbuf* given = &packet;
    BOOST_TEST(hand_over.give(1, &given, 1) == 1U);
    BOOST_TEST(!rings_within(hand_over.doorbell(1), 0));
    BOOST_TEST(!hand_over.fall_asleep(1));  // a packet waits
    BOOST_TEST(hand_over.take(1, &given, 1) == 1U);
    BOOST_TEST(hand_over.fall_asleep(1));
    BOOST_TEST(hand_over.give(1, &given, 1) == 1U);
    BOOST_TEST(rings_within(hand_over.doorbell(1), 0));
    hand_over.awake(1);
    BOOST_TEST(!rings_within(hand_over.doorbell(1), 0));
}

// Two givers, one owner that goes to sleep whenever it may: no packet is lost, none waits for a
// sleeper, and the bytes that a giver wrote are there. Under ThreadSanitizer the proof of the
// crossing's memory order.
BOOST_AUTO_TEST_CASE(no_packet_is_lost_between_threads_and_none_waits_for_a_sleeper) {
    constexpr std::uint32_t each = 20'000;
    HandOver hand_over{3};
    const auto give_all = [&](std::vector<rte_mbuf>& packets) {
        for (std::uint32_t i = 0; i < each;) {
            packets[i].pkt_len = i + 1;
            rte_mbuf* packet = &packets[i];
            if (hand_over.give(2, &packet, 1) == 1) {
                ++i;
            } else {
                std::this_thread::yield();
            }
        }
    };
    std::array<std::vector<rte_mbuf>, 2> packets{numbered(each), numbered(each)};
    std::array<std::thread, 2> givers;
    for (unsigned i = 0; i < 2; ++i) givers[i] = std::thread{[&, i] { give_all(packets[i]); }};
    std::uint64_t sum = 0;
    unsigned arrived = 0;
    bool waited_for_nothing = false;
    while (arrived < 2 * each && !waited_for_nothing) {
        std::array<rte_mbuf*, 32> burst;
        const unsigned count = hand_over.take(2, burst.data(), burst.size());
        for (unsigned i = 0; i < count; ++i) sum += burst[i]->pkt_len;
        arrived += count;
        if (count != 0) continue;
        if (hand_over.fall_asleep(2)) {
            waited_for_nothing = !rings_within(hand_over.doorbell(2), 20'000);
        }
        hand_over.awake(2);
    }
    for (auto& giver : givers) giver.join();
    BOOST_TEST(!waited_for_nothing);
    BOOST_TEST(arrived == 2 * each);
    BOOST_TEST(sum == std::uint64_t{each} * (each + 1));
}

BOOST_AUTO_TEST_SUITE_END()
