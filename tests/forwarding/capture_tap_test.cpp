#include "forwarding/capture_tap.hpp"

#include <array>
#include <thread>
#include <vector>

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::forwarding;

namespace {

using Direction = CapturedPacket::Direction;

/// A packet in memory of its own.
struct Packet {
    explicit Packet(std::vector<std::uint8_t> content) : bytes{std::move(content)} {
        mbuf.buf_addr = bytes.data();
        mbuf.data_len = static_cast<std::uint16_t>(bytes.size());
        mbuf.pkt_len = mbuf.data_len;
    }

    std::vector<std::uint8_t> bytes;
    rte_mbuf mbuf{};
};

std::vector<std::uint8_t> read(const CaptureTap& tap, std::uint32_t i) {
    std::vector<std::uint8_t> result;
    for (const std::byte byte : tap.bytes(i)) result.push_back(std::to_integer<std::uint8_t>(byte));
    return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(capture_tap_test)

BOOST_AUTO_TEST_CASE(packets_are_copied_with_what_is_known_of_them) {
    CaptureTap tap{0b10, 100};
    BOOST_TEST(!tap.watches(0));
    BOOST_TEST(tap.watches(1));
    Packet packet{{1, 2, 3, 4, 5}};
    rte_mbuf* burst = &packet.mbuf;
    tap.record(1, Direction::sent, &burst, 1);
    packet.bytes[0] = 9;
    BOOST_TEST_REQUIRE(tap.pending() == 1U);
    const CapturedPacket about = tap.about(0);
    BOOST_TEST(about.port == 1);
    BOOST_TEST((about.direction == Direction::sent));
    BOOST_TEST(about.length == 5U);
    BOOST_TEST(read(tap, 0) == (std::vector<std::uint8_t>{1, 2, 3, 4, 5}), boost::test_tools::per_element());
    tap.release(1);
    BOOST_TEST(tap.pending() == 0U);
}

BOOST_AUTO_TEST_CASE(what_is_longer_than_wanted_is_cut) {
    CaptureTap tap{1, 3};
    Packet packet{{1, 2, 3, 4, 5}};
    rte_mbuf* burst = &packet.mbuf;
    tap.record(0, Direction::received, &burst, 1);
    BOOST_TEST(tap.about(0).length == 5U);
    BOOST_TEST(read(tap, 0) == (std::vector<std::uint8_t>{1, 2, 3}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_packet_in_segments_is_copied_whole) {
    CaptureTap tap{1, 100};
    Packet first{{1, 2, 3}}, second{{4, 5}};
    first.mbuf.next = &second.mbuf;
    first.mbuf.nb_segs = 2;
    first.mbuf.pkt_len = 5;
    rte_mbuf* burst = &first.mbuf;
    tap.record(0, Direction::received, &burst, 1);
    BOOST_TEST(read(tap, 0) == (std::vector<std::uint8_t>{1, 2, 3, 4, 5}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_the_port_does_not_take_was_not_sent) {
    CaptureTap tap{1, 100};
    Packet one{{1}}, two{{2}}, three{{3}};
    std::array<rte_mbuf*, 3> burst{&one.mbuf, &two.mbuf, &three.mbuf};
    const std::uint32_t copied = tap.copy(0, Direction::sent, burst.data(), 3);
    BOOST_TEST(copied == 3U);
    BOOST_TEST(tap.pending() == 0U);
    tap.publish(0, copied, 1);
    BOOST_TEST(tap.pending() == 1U);
    tap.record(0, Direction::sent, burst.data() + 2, 1);
    BOOST_TEST(read(tap, 1)[0] == 3);
    BOOST_TEST(tap.lost(0) == 0U);
}

BOOST_AUTO_TEST_CASE(who_finds_no_room_is_counted) {
    CaptureTap tap{0b11, 2048};
    Packet packet{{1}};
    rte_mbuf* burst = &packet.mbuf;
    for (std::uint32_t i = 0; i < tap.slots() + 7; ++i) tap.record(1, Direction::received, &burst, 1);
    BOOST_TEST(tap.pending() == tap.slots());
    BOOST_TEST(tap.lost(1) == 7U);
    BOOST_TEST(tap.lost(0) == 0U);
    tap.release(tap.slots());
    tap.record(1, Direction::received, &burst, 1);
    BOOST_TEST(tap.pending() == 1U);
    BOOST_TEST(tap.lost(1) == 7U);
}

BOOST_AUTO_TEST_CASE(smaller_copies_are_more) {
    const CaptureTap large{1, 4096}, small{1, 64};
    BOOST_TEST(large.slots() >= 1024U);
    BOOST_TEST(small.slots() > 16 * large.slots());
}

// Under ThreadSanitizer this is the proof of the memory order.
BOOST_AUTO_TEST_CASE(packets_arrive_whole_and_in_order) {
    CaptureTap tap{1, 9000};
    const std::uint32_t rounds = 8 * tap.slots();
    std::thread worker{[&] {
        Packet packet{std::vector<std::uint8_t>(64)};
        rte_mbuf* burst = &packet.mbuf;
        for (std::uint32_t i = 0; i < rounds; ++i) {
            packet.bytes.assign(64, static_cast<std::uint8_t>(i));
            std::uint32_t copied = 0;
            while ((copied = tap.copy(0, Direction::received, &burst, 1)) == 0) std::this_thread::yield();
            tap.publish(0, copied, 1);
        }
    }};
    std::uint32_t wrong = 0;
    for (std::uint32_t expected = 0; expected < rounds;) {
        const std::uint32_t count = tap.pending();
        for (std::uint32_t i = 0; i < count; ++i, ++expected) {
            wrong += read(tap, i) !=
                     std::vector<std::uint8_t>(64, static_cast<std::uint8_t>(expected));
        }
        tap.release(count);
        if (count == 0) std::this_thread::yield();
    }
    worker.join();
    BOOST_TEST(wrong == 0U);
    BOOST_TEST(tap.lost(0) == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
