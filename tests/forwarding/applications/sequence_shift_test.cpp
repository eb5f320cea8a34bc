#include "forwarding/applications/sequence_shift.hpp"

#include <array>
#include <cstring>
#include <initializer_list>

#include <boost/test/unit_test.hpp>

#include "compat/net/bytes.hpp"
#include "forwarding/packet/parsed.hpp"

namespace nlvs::forwarding {

BOOST_AUTO_TEST_SUITE(sequence_shift_test)

BOOST_AUTO_TEST_CASE(what_follows_a_longer_packet_is_off_by_its_growth) {
    // Also where sequence numbers wrap around.
    for (const std::uint32_t start : std::initializer_list<std::uint32_t>{1000, 0xFFFFFFF0}) {
        SequenceShift shift;
        BOOST_TEST(!shift.is_active());
        shift.record(start, 3);
        BOOST_TEST(shift.is_active());
        BOOST_TEST(shift.at(start) == 0U);
        BOOST_TEST(shift.at(start - 40) == 0U);
        BOOST_TEST(shift.at(start + 50) == 3U);
        // What the other side acknowledges is in shifted numbers.
        BOOST_TEST(shift.behind(start) == 0U);
        BOOST_TEST(shift.behind(start + 53) == 3U);
    }
}

BOOST_AUTO_TEST_CASE(a_packet_sent_again_counts_once) {
    SequenceShift shift;
    shift.record(1000, 3);
    shift.record(1000, 3);
    BOOST_TEST(shift.at(1050) == 3U);
    shift.record(900, 7);
    BOOST_TEST(shift.at(1050) == 3U);
}

BOOST_AUTO_TEST_CASE(growths_add_up) {
    SequenceShift shift;
    shift.record(1000, 3);
    shift.record(2000, -1);
    BOOST_TEST(shift.at(1500) == 3U);
    BOOST_TEST(shift.at(2000) == 3U);
    BOOST_TEST(shift.at(2050) == 2U);
    BOOST_TEST(shift.behind(2003) == 3U);
    BOOST_TEST(shift.behind(2052) == 2U);
    shift.record(3000, -2);
    BOOST_TEST(shift.is_active());
    BOOST_TEST(shift.at(3050) == 0U);
    BOOST_TEST(shift.at(2500) == 2U);
}

BOOST_AUTO_TEST_CASE(selective_acknowledgements_move_with_the_others) {
    SequenceShift shift;
    shift.record(1000, 3);
    // Header; NOP NOP SACK(10) 1103-1203; NOP EOL
    std::array<std::byte, 34> packet{};
    auto& header = *net::header_at<TcpHeader>(packet.data());
    header.flags = TcpFlags::ack;
    header.acknowledgement = net::Be32{std::uint32_t{1000}};
    const std::array<std::uint8_t, 4> kinds{1, 1, 5, 10};
    std::memcpy(packet.data() + 20, kinds.data(), kinds.size());
    net::store(packet.data() + 24, net::Be32{std::uint32_t{1103}});
    net::store(packet.data() + 28, net::Be32{std::uint32_t{1203}});
    packet[32] = std::byte{1};
    shift_acknowledgement(header, 14, shift);
    BOOST_TEST(header.acknowledgement.host() == 1000U);  // the packet itself is not confirmed
    BOOST_TEST(net::load<net::Be32>(packet.data() + 24).host() == 1100U);
    BOOST_TEST(net::load<net::Be32>(packet.data() + 28).host() == 1200U);
    // Options that do not hold what they say are left alone.
    packet[23] = std::byte{200};
    const auto before = packet;
    shift_acknowledgement(header, 14, shift);
    BOOST_TEST((packet == before));
}

BOOST_AUTO_TEST_CASE(a_packet_without_acknowledgement_has_none_to_move) {
    SequenceShift shift;
    shift.record(1000, 3);
    TcpHeader header{};
    header.flags = TcpFlags::rst;
    header.acknowledgement = net::Be32{std::uint32_t{2000}};
    shift_acknowledgement(header, 0, shift);
    BOOST_TEST(header.acknowledgement.host() == 2000U);
    header.flags = TcpFlags::ack;
    shift_acknowledgement(header, 0, shift);
    BOOST_TEST(header.acknowledgement.host() == 1997U);
    header.sequence = net::Be32{std::uint32_t{2000}};
    shift_sequence(header, shift);
    BOOST_TEST(header.sequence.host() == 2003U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
