#include "forwarding/marks/key_set.hpp"

#include <array>
#include <cstdlib>
#include <cstring>
#include <random>

#include <boost/test/unit_test.hpp>

namespace nlvs::forwarding {
namespace {

KeyBytes key16(unsigned value) {
    return {static_cast<std::byte>(value >> 8), static_cast<std::byte>(value & 0xFF)};
}

/// An IPv4 address and a port, each in its own word.
KeyBytes pair(std::uint32_t address, unsigned port) {
    return {
        static_cast<std::byte>(address >> 24),
        static_cast<std::byte>(address >> 16 & 0xFF),
        static_cast<std::byte>(address >> 8 & 0xFF),
        static_cast<std::byte>(address & 0xFF),
        static_cast<std::byte>(port >> 8),
        static_cast<std::byte>(port & 0xFF),
        std::byte{0},
        std::byte{0}};
}

constexpr std::array<std::size_t, 2> address_and_port{4, 2};

}  // namespace

BOOST_AUTO_TEST_SUITE(key_set_test)

BOOST_AUTO_TEST_CASE(exact_keys_are_found_and_others_are_not) {
    std::vector<KeyBytes> keys;
    for (unsigned i = 0; i < 10'000; ++i) keys.push_back(key16(i * 3));
    const KeySet set = KeySet::exact(2, keys);
    for (unsigned i = 0; i < 30'000; ++i) {
        BOOST_TEST_REQUIRE(set.find(key16(i).data()) == (i % 3 == 0 ? i / 3 : KeySet::none));
    }
}

BOOST_AUTO_TEST_CASE(an_empty_set_has_nothing) {
    BOOST_TEST(KeySet::exact(2, {}).find(key16(0).data()) == KeySet::none);
    BOOST_TEST(KeySet::boundaries(2, {}).find(key16(0).data()) == KeySet::none);
    BOOST_TEST(KeySet::ranges(address_and_port, {})->find(pair(0, 0).data()) == KeySet::none);
}

BOOST_AUTO_TEST_CASE(intervals_hold_their_first_key_and_not_the_one_behind_the_last) {
    const KeySet set = KeySet::boundaries(
        2,
        {
            {key16(0), KeySet::none},
            {key16(100), 1},
            {key16(200), KeySet::none},
            {key16(200), 4},
            {key16(300), KeySet::none},
            {key16(60'000), 6},
        }
    );
    BOOST_TEST(set.find(key16(99).data()) == KeySet::none);
    BOOST_TEST(set.find(key16(100).data()) == 1U);
    BOOST_TEST(set.find(key16(199).data()) == 1U);
    BOOST_TEST(set.find(key16(200).data()) == 4U);
    BOOST_TEST(set.find(key16(300).data()) == KeySet::none);
    BOOST_TEST(set.find(key16(65'535).data()) == 6U);
}

BOOST_AUTO_TEST_CASE(the_fallback_is_for_keys_of_no_element) {
    KeySet set = KeySet::exact(2, {key16(1)});
    set.set_fallback(1);
    BOOST_TEST(set.find(key16(1).data()) == 0U);
    BOOST_TEST(set.find(key16(2).data()) == 1U);
}

BOOST_AUTO_TEST_CASE(ranges_of_all_keys_and_of_one_are_ranges) {
    const auto set = KeySet::ranges(
        address_and_port,
        {
            {pair(7, 80), pair(7, 80)},
            {pair(0, 443), pair(~0U, 443)},
            {pair(9, 0), pair(9, 65'535)},
        }
    );
    BOOST_TEST_REQUIRE(set.has_value());
    BOOST_TEST(set->find(pair(7, 80).data()) == 0U);
    BOOST_TEST(set->find(pair(7, 81).data()) == KeySet::none);
    BOOST_TEST(set->find(pair(~0U, 443).data()) == 1U);
    BOOST_TEST(set->find(pair(9, 443).data()) == 1U);
    BOOST_TEST(set->find(pair(9, 65'535).data()) == 2U);
}

BOOST_AUTO_TEST_CASE(ranges_answer_as_a_walk_over_them_would) {
    struct Block {
        std::uint32_t first, last;
        unsigned low, high;
    };

    std::minstd_rand random{4};
    std::vector<Block> blocks;
    std::vector<KeySet::Range> ranges;
    for (unsigned i = 0; i < 200; ++i) {
        const auto first = static_cast<std::uint32_t>(random() % 4000);
        const auto low = static_cast<unsigned>(random() % 400);
        const Block block{
            first,
            first + static_cast<std::uint32_t>(random() % 300),
            low,
            low + static_cast<unsigned>(random() % 40)};
        blocks.push_back(block);
        ranges.push_back({pair(block.first, block.low), pair(block.last, block.high)});
    }
    const auto set = KeySet::ranges(address_and_port, ranges);
    BOOST_TEST_REQUIRE(set.has_value());
    for (unsigned i = 0; i < 20'000; ++i) {
        const auto address = static_cast<std::uint32_t>(random() % 4500);
        const auto port = static_cast<unsigned>(random() % 500);
        std::uint32_t expected = KeySet::none;
        for (std::uint32_t at = 0; at < blocks.size() && expected == KeySet::none; ++at) {
            const Block& block = blocks[at];
            if (block.first <= address && address <= block.last && block.low <= port &&
                port <= block.high) {
                expected = at;
            }
        }
        BOOST_TEST_REQUIRE(set->find(pair(address, port).data()) == expected);
    }
}

BOOST_AUTO_TEST_CASE(too_many_prefixes_are_refused) {
    constexpr std::array<std::size_t, 4> four_addresses{16, 16, 16, 16};
    KeyBytes first(64, std::byte{0}), last(64, std::byte{0xFF});
    for (std::size_t i = 0; i < 64; i += 16) {
        first[i + 15] = std::byte{1};
        last[i + 15] = std::byte{0xFE};
    }
    BOOST_TEST(!KeySet::ranges(four_addresses, {{first, last}}).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
