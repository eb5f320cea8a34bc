#include "forwarding/packet/checksum.hpp"

#include "tests/support/packet_builder.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <random>

#include <boost/test/unit_test.hpp>
#include <rte_ip.h>

namespace nlvs::forwarding {
namespace {

using net::Be16;
using net::Be32;
using net::Ipv4Address;
using net::Ipv6Address;

template <class T>
std::uint16_t oracle(const T& buffer) {
    return static_cast<std::uint16_t>(~rte_raw_cksum(&buffer, sizeof(buffer)));
}

/// Sixteen words of which the checksum is one and the others change.
using Buffer = std::array<std::uint16_t, 16>;

Buffer random_buffer(std::mt19937_64& random) {
    Buffer buffer;
    for (std::size_t i = 0; i < buffer.size(); i += 4) {
        const std::uint64_t bits = random();
        // One word in four is an extreme: carries and zeros are where checksums go wrong.
        for (std::size_t j = 0; j < 4; ++j) {
            const auto word = static_cast<std::uint16_t>(bits >> (16 * j));
            buffer[i + j] = (word & 3) != 0 ? word : static_cast<std::uint16_t>(word & 4 ? ~0 : 0);
        }
    }
    return buffer;
}

template <class T>
T load(const Buffer& buffer, std::size_t word) {
    return net::load<T>(std::as_bytes(std::span{buffer}).data() + word * 2);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(checksum_test)

BOOST_AUTO_TEST_CASE(a_sum_folds_without_losing_a_carry) {
    BOOST_TEST(fold(0) == 0);
    BOOST_TEST(fold(1) == 1);
    BOOST_TEST(fold(0xFFFF) == 0xFFFF);
    BOOST_TEST(fold(0x10000) == 1);
    BOOST_TEST(fold(0xFFFFFFFF) == 0xFFFF);
    BOOST_TEST(fold(0x1FFFFFFFF) == 1);
    BOOST_TEST(fold(~std::uint64_t{0}) == 0xFFFF);
}

BOOST_AUTO_TEST_CASE(the_example_of_rfc_1624_comes_out_right) {
    // Section 4: HC = 0xDD2F, m = 0x5555, m' = 0x3285; HC' = 0x0000.
    ChecksumDelta delta;
    delta.replace(Be16{0x5555}, Be16{0x3285});
    BOOST_TEST(delta.apply(Be16{0xDD2F}).host() == 0x0000);
    BOOST_TEST(delta.apply_udp(Be16{0xDD2F}).host() == 0xFFFF);
}

BOOST_AUTO_TEST_CASE(an_incremental_update_equals_a_full_computation) {
    const auto seed = std::random_device{}();
    BOOST_TEST_CONTEXT("seed " << seed) {
        std::mt19937_64 random{seed};
        std::size_t wrong = 0;
        for (int i = 0; i < 1'000'000; ++i) {
            Buffer buffer = random_buffer(random);
            buffer[0] = 0;
            buffer[1] |= 1;  // a real packet is never all zero
            buffer[0] = oracle(buffer);
            const auto before = buffer;
            const Buffer other = random_buffer(random);
            std::memcpy(&buffer[2], &other[2], 14 * sizeof(std::uint16_t));
            ChecksumDelta delta;
            delta.replace(load<Be16>(before, 2), load<Be16>(buffer, 2));
            delta.replace(load<Be16>(before, 3), load<Be16>(buffer, 3));
            delta.replace(load<Ipv4Address>(before, 4), load<Ipv4Address>(buffer, 4));
            delta.replace(load<Be32>(before, 6), load<Be32>(buffer, 6));
            delta.replace(load<Ipv6Address>(before, 8), load<Ipv6Address>(buffer, 8));
            const std::uint16_t incremental = delta.apply(Be16::from_wire(before[0])).wire();
            buffer[0] = 0;
            if (incremental != oracle(buffer)) ++wrong;
        }
        BOOST_TEST(wrong == 0);
    }
}

BOOST_AUTO_TEST_CASE(a_header_checksum_covers_options) {
    using net::operator""_ip;
    for (const std::size_t options : {0, 4, 20, 40}) {
        BOOST_TEST_CONTEXT(options << " bytes of options") {
            auto bytes =
                (test::ipv4("10.0.0.1"_ip, "10.0.0.2"_ip).options(options) / test::payload(4))
                    .bytes();
            auto& header = *net::header_at<Ipv4Header>(bytes.data());
            BOOST_TEST(has_valid_checksum(header));
            const Be16 right = header.checksum;
            write_checksum(header);
            BOOST_TEST((header.checksum == right));
            bytes[19 + options] ^= std::byte{1};
            BOOST_TEST(!has_valid_checksum(header));
        }
    }
}

BOOST_AUTO_TEST_CASE(every_ttl_decrements_with_a_right_checksum) {
    using net::operator""_ip;
    for (unsigned ttl = 2; ttl < 256; ++ttl) {
        const auto hop = [](unsigned value) {
            return test::ipv4("10.0.0.1"_ip, "198.51.100.7"_ip)
                       .ttl(static_cast<std::uint8_t>(value)) /
                   test::payload(4);
        };
        auto bytes = hop(ttl).bytes();
        decrement_ttl(*net::header_at<Ipv4Header>(bytes.data()));
        BOOST_TEST_CONTEXT("ttl " << ttl) {
            BOOST_TEST((bytes == hop(ttl - 1).bytes()));
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
