#include "forwarding/schedulers/locality.hpp"

#include "tests/forwarding/schedulers/pool.hpp"

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::forwarding;
using test::Pool;

namespace {

constexpr Ticks day = 86400 * ticks_per_second;

void load(Pool& pool, char name, std::uint32_t active) {
    pool.slot(name).totals.active = active;
    pool.slot(name).totals.connections = active;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(locality_test)

BOOST_AUTO_TEST_CASE(lblc_stays_with_its_choice_until_that_must_be_relieved) {
    Pool pool{SchedulerKind::lblc, std::vector<std::int32_t>{4, 4}};
    BOOST_TEST(pool.pick() == 'A');
    load(pool, 'A', 4);
    BOOST_TEST(pool.pick() == 'A');
    pool.input.destination = net::Ipv4Address{0x0A000063U};
    BOOST_TEST(pool.pick() == 'B');
    pool.input.destination = net::Ipv4Address{0x0A000001U};
    load(pool, 'A', 5);
    load(pool, 'B', 2);
    BOOST_TEST(pool.pick() == 'A');  // B is half busy: no relief
    load(pool, 'B', 1);
    BOOST_TEST(pool.pick() == 'B');
    load(pool, 'A', 0);
    BOOST_TEST(pool.pick() == 'B');
}

BOOST_AUTO_TEST_CASE(lblc_ignores_thresholds_on_a_hit_but_not_weight_or_removal) {
    Pool pool{SchedulerKind::lblc, std::vector<std::int32_t>{1, 1, 1}};
    BOOST_TEST(pool.pick() == 'A');
    pool.slot('A').totals.overloaded = true;
    BOOST_TEST(pool.pick() == 'A');
    pool.set_weight('A', 0);
    BOOST_TEST(pool.pick() == 'B');
    pool.remove('B');
    BOOST_TEST(pool.pick() == 'C');
}

BOOST_AUTO_TEST_CASE(lblc_forgets_an_address_unused_for_the_expiration) {
    Pool pool{SchedulerKind::lblc, std::vector<std::int32_t>{1, 1}};
    BOOST_TEST(pool.pick() == 'A');
    load(pool, 'A', 1);
    pool.input.now.ticks = day;
    BOOST_TEST(pool.pick() == 'A');
    pool.input.now.ticks = 2 * day + 1;
    BOOST_TEST(pool.pick() == 'B');
}

BOOST_AUTO_TEST_CASE(lblcr_grows_its_set_under_load_and_shrinks_it_in_peace) {
    Pool pool{SchedulerKind::lblcr, std::vector<std::int32_t>{4, 4}};
    BOOST_TEST(pool.pick() == 'A');
    load(pool, 'A', 5);
    BOOST_TEST(pool.pick() == 'B');  // joins the set
    load(pool, 'B', 3);
    BOOST_TEST(pool.pick() == 'B');
    load(pool, 'A', 2);
    BOOST_TEST(pool.pick() == 'A');  // still a member

    pool.input.now.ticks = day;
    BOOST_TEST(pool.pick() == 'A');
    pool.input.now.ticks = day + 1;
    BOOST_TEST(pool.pick() == 'A');  // and B, the busier one, leaves
    load(pool, 'B', 0);
    BOOST_TEST(pool.pick() == 'A');
}

BOOST_AUTO_TEST_CASE(a_new_scheduler_binding_forgets_the_cache) {
    Pool pool{SchedulerKind::lblc, std::vector<std::int32_t>{1, 1}};
    BOOST_TEST(pool.pick() == 'A');
    load(pool, 'A', 1);
    pool.builder.bind(pool.service);
    BOOST_TEST(pool.pick() == 'B');
}

BOOST_AUTO_TEST_CASE(the_cache_is_bounded_and_keeps_what_was_used_last) {
    LocalityCache cache;
    for (std::uint32_t i = 0; i < 200000; ++i) {
        const net::IpAddress address = net::Ipv4Address{i};
        BOOST_TEST_REQUIRE(cache.find(address, i, day) == nullptr);
        auto* entry = cache.insert(address, i, day);
        BOOST_TEST_REQUIRE(entry != nullptr);
        entry->insert(DestinationId{i}, i);
        BOOST_TEST_REQUIRE(cache.find(address, i, day) == entry);
    }
    BOOST_TEST(cache.capacity() == LocalityCache::max_entries);
    std::uint32_t kept = 0;
    for (std::uint32_t i = 200000 - 8192; i < 200000; ++i) {
        const auto* entry = cache.find(net::Ipv4Address{i}, 200000, day);
        if (entry == nullptr) continue;
        BOOST_TEST_REQUIRE(entry->members[0].value == i);
        ++kept;
    }
    BOOST_TEST(kept > 8192 * 8 / 10);
}

BOOST_AUTO_TEST_CASE(a_full_set_loses_its_oldest_member) {
    LocalityEntry entry;
    for (std::uint32_t i = 0; i < 10; ++i) entry.insert(DestinationId{i}, i);
    BOOST_TEST(entry.size == LocalityEntry::max_members);
    BOOST_TEST(entry.members[0].value == 9U);
    BOOST_TEST(entry.members[7].value == 2U);
    entry.insert(DestinationId{5}, 99);
    BOOST_TEST(entry.last_modified == 9U);
    entry.remove(DestinationId{5}, 100);
    BOOST_TEST(entry.size == 7U);
    BOOST_TEST(entry.last_modified == 100U);
    BOOST_TEST(entry.members[6].value == 2U);
}

BOOST_AUTO_TEST_SUITE_END()
