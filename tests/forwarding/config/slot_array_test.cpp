#include "forwarding/config/slot_array.hpp"

#include <cstdint>

#include <boost/test/unit_test.hpp>

using namespace nlvs::forwarding;

BOOST_AUTO_TEST_SUITE(slot_array_test)

BOOST_AUTO_TEST_CASE(elements_start_empty_and_never_move) {
    SlotArray<std::uint64_t, 4, 8> slots;
    BOOST_TEST(slots.ensure(0));
    BOOST_TEST(slots[3] == 0U);
    std::uint64_t* first = &slots[0];
    slots[0] = 42;
    for (std::uint32_t i = 0; i < slots.capacity; ++i) BOOST_TEST(slots.ensure(i));
    BOOST_TEST(&slots[0] == first);
    BOOST_TEST(slots[0] == 42U);
    for (std::uint32_t i = 1; i < slots.capacity; ++i) BOOST_TEST(slots[i] == 0U);
}

BOOST_AUTO_TEST_CASE(chunks_come_into_being_one_by_one_in_any_order) {
    SlotArray<std::uint32_t, 4, 8> slots;
    BOOST_TEST(slots.ensure(30));
    BOOST_TEST(slots.ensure(5));
    slots[30] = 30;
    slots[5] = 5;
    BOOST_TEST(slots.ensure(31));
    const auto& view = slots;
    BOOST_TEST(view[30] == 30U);
    BOOST_TEST(view[5] == 5U);
}

BOOST_AUTO_TEST_CASE(beyond_capacity_is_refused) {
    SlotArray<std::uint32_t, 4, 8> slots;
    BOOST_TEST(slots.capacity == 32U);
    BOOST_TEST(!slots.ensure(32));
    BOOST_TEST(!slots.ensure(~0U));
}

BOOST_AUTO_TEST_CASE(elements_may_be_immovable_and_aligned) {
    struct alignas(64) Immovable {
        Immovable() = default;
        Immovable(const Immovable&) = delete;
        Immovable& operator=(const Immovable&) = delete;
        std::uint32_t value = 7;
    };

    SlotArray<Immovable, 2, 2> slots;
    BOOST_TEST(slots.ensure(3));
    BOOST_TEST(slots[2].value == 7U);
    BOOST_TEST(reinterpret_cast<std::uintptr_t>(&slots[3]) % 64 == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
