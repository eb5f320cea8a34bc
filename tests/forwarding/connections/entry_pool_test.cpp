#include "forwarding/connections/entry_pool.hpp"

#include "tests/forwarding/connections/seeded.hpp"

#include <set>
#include <thread>
#include <vector>

#include <boost/test/unit_test.hpp>

using namespace nlvs::forwarding;

namespace {

struct alignas(64) Entry {
    std::uint32_t link = 0;
    std::uint32_t value = 0;
};

using Pool = EntryPool<Entry, &Entry::link>;

constexpr std::uint32_t per_step = ReservedRegion::step / sizeof(Entry);

}  // namespace

BOOST_AUTO_TEST_SUITE(entry_pool_test)

BOOST_AUTO_TEST_CASE(hands_out_each_index_once_and_never_zero) {
    Pool pool{1000, ReservedRegion::any_node};
    std::set<std::uint32_t> seen;
    for (unsigned i = 0; i < 1000; ++i) seen.insert(pool.allocate());
    BOOST_TEST(seen.size() == 1000U);
    BOOST_TEST(!seen.contains(0));
    BOOST_TEST(pool.allocate() == 0U);
    BOOST_TEST(pool.live() == 1000U);
}

BOOST_AUTO_TEST_CASE(what_is_freed_is_reused_and_reset) {
    Pool pool{2, ReservedRegion::any_node};
    const std::uint32_t first = pool.allocate();
    pool.allocate();
    pool[first].value = 7;
    pool.release(first);
    BOOST_TEST(pool.allocate() == first);
    BOOST_TEST(pool[first].value == 0U);
    BOOST_TEST(pool.allocate() == 0U);
}

BOOST_AUTO_TEST_CASE(entries_stay_where_they_are_while_memory_grows) {
    Pool pool{3 * per_step, ReservedRegion::any_node};
    std::vector<Entry*> entries;
    for (std::uint32_t i = 0; i < 3 * per_step; ++i) {
        const std::uint32_t index = pool.allocate();
        BOOST_REQUIRE(index != 0);
        pool[index].value = index;
        entries.push_back(&pool[index]);
    }
    BOOST_TEST(pool.memory() == 4 * ReservedRegion::step);
    std::uint32_t wrong = 0;
    for (const Entry* entry : entries) wrong += entry->value != pool.index_of(entry);
    BOOST_TEST(wrong == 0U);
}

BOOST_AUTO_TEST_CASE(can_allocate_promises_memory) {
    Pool pool{10, ReservedRegion::any_node};
    BOOST_TEST(pool.memory() == 0U);
    BOOST_TEST(pool.can_allocate(10));
    BOOST_TEST(pool.memory() == ReservedRegion::step);
    BOOST_TEST(!pool.can_allocate(11));
    pool.allocate();
    BOOST_TEST(pool.can_allocate(9));
    BOOST_TEST(!pool.can_allocate(10));
}

BOOST_AUTO_TEST_CASE(reserve_stops_at_the_maximum) {
    Pool pool{per_step, ReservedRegion::any_node};
    pool.reserve(~0U);
    BOOST_TEST(pool.memory() == 2 * ReservedRegion::step);
}

BOOST_AUTO_TEST_CASE(control_may_reserve_while_the_worker_allocates) {
    Pool pool{8 * per_step, ReservedRegion::any_node};
    std::jthread control{[&pool](const std::stop_token& stop) {
        while (!stop.stop_requested()) pool.reserve(per_step);
    }};
    std::uint32_t wrong = 0;
    for (std::uint32_t i = 1; i <= 8 * per_step; ++i) {
        const std::uint32_t index = pool.allocate();
        wrong += index != i || pool[index].value != 0;
        pool[index].value = i;
    }
    BOOST_TEST(wrong == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
