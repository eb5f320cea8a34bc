#include "forwarding/neighbour_queue.hpp"

#include <functional>
#include <memory>

#include <boost/test/unit_test.hpp>

#include "tests/support/eal_fixture.hpp"
#include "tests/support/packet_builder.hpp"

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

struct Fixture {
    std::unique_ptr<Configuration> configuration = std::make_unique<Configuration>();
    QuiescentState quiescence;
    Reclaimer reclaimer{quiescence};
    WorkerCounters counters;
    NeighbourQueue queue;
    Adjacency adjacency;
    AdjacencySlot slot;
    std::size_t given_up = 0;
    std::function<void()> on_give_up;
    static constexpr Ticks patience = NeighbourQueue::patience;

    /// From time 0 on.
    void hold(const net::IpAddress& neighbour, Ticks now = 0) {
        WaitingPacket waiting;
        waiting.packet = to_mbuf((ipv4("10.0.0.1"_ip, neighbour) / udp(1, 2)).bytes());
        waiting.neighbour = {1, neighbour};
        queue.hold(waiting, now, counters);
    }

    void resolve(const net::IpAddress& address) {
        auto neighbour = std::make_unique<Neighbour>();
        neighbour->key = {1, address};
        neighbour->slot = &slot;
        slot.node = &adjacency;
        configuration->neighbours.insert(std::move(neighbour), reclaimer);
    }

    std::size_t sent(Ticks now) {
        std::size_t count = 0;
        queue.retry(
            *configuration, now, counters,
            [&count](rte_mbuf* packet, auto, const auto&) {
                rte_pktmbuf_free(packet);
                ++count;
            },
            [this](rte_mbuf* packet, auto) {
                rte_pktmbuf_free(packet);
                ++given_up;
                if (on_give_up) on_give_up();
            }
        );
        return count;
    }

    std::uint64_t dropped() const {
        return counters.drops[static_cast<std::size_t>(DropReason::neighbour_unresolved)].read();
    }
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(neighbour_queue_test, Fixture)

BOOST_AUTO_TEST_CASE(packets_go_once_their_neighbour_is_known) {
    hold("10.0.0.7"_ip);
    hold("10.0.0.7"_ip);
    hold("10.0.0.8"_ip);
    BOOST_TEST(sent(1) == 0U);
    resolve("10.0.0.7"_ip);
    BOOST_TEST(sent(2) == 2U);
    BOOST_TEST(sent(3) == 0U);
    BOOST_TEST(!queue.empty());
}

BOOST_AUTO_TEST_CASE(who_waits_too_long_is_given_up) {
    hold("10.0.0.7"_ip, 5);
    BOOST_TEST(sent(5 + patience - 1) == 0U);
    BOOST_TEST(dropped() == 0U);
    BOOST_TEST(sent(5 + patience) == 0U);
    BOOST_TEST(dropped() == 1U);
    BOOST_TEST(given_up == 1U);
    BOOST_TEST(queue.empty());
}

// As in the kernel, where the neighbour fails and not the packet.
BOOST_AUTO_TEST_CASE(who_comes_later_gives_up_with_the_first) {
    hold("10.0.0.7"_ip, 1);
    hold("10.0.0.8"_ip, 3);
    hold("10.0.0.7"_ip, 5);
    sent(1 + patience);
    BOOST_TEST(given_up == 2U);
    hold("10.0.0.7"_ip, 1 + patience);
    sent(3 + patience);
    BOOST_TEST(given_up == 3U);
    sent(2 * patience);
    BOOST_TEST(given_up == 3U);
    sent(1 + 2 * patience);
    BOOST_TEST(given_up == 4U);
}

BOOST_AUTO_TEST_CASE(what_is_held_meanwhile_stays) {
    hold("10.0.0.7"_ip, 1);
    hold("10.0.0.8"_ip, 2);
    on_give_up = [this] { hold("10.0.0.9"_ip, 1 + patience); };
    sent(1 + patience);
    on_give_up = {};
    BOOST_TEST(given_up == 1U);
    resolve("10.0.0.8"_ip);
    resolve("10.0.0.9"_ip);
    BOOST_TEST(sent(1 + patience) == 2U);
    BOOST_TEST(queue.empty());
}

BOOST_AUTO_TEST_CASE(a_dead_neighbour_in_demand_takes_nothing_from_another) {
    for (int i = 0; i < 1000; ++i) hold("10.0.0.7"_ip);
    BOOST_TEST(dropped() == 1000U - NeighbourQueue::share);
    hold("10.0.0.8"_ip);
    BOOST_TEST(dropped() == 1000U - NeighbourQueue::share);
    resolve("10.0.0.8"_ip);
    BOOST_TEST(sent(1) == 1U);
}

BOOST_AUTO_TEST_CASE(all_together_have_a_limit) {
    for (std::uint32_t i = 0; i < 1000; ++i) hold(net::Ipv4Address{0x0A000000U + i});
    BOOST_TEST(dropped() == 1000U - NeighbourQueue::capacity);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
