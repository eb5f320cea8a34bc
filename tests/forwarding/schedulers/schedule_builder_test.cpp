#include "forwarding/schedulers/schedule_builder.hpp"

#include "tests/forwarding/schedulers/pool.hpp"

#include <algorithm>

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::forwarding;
using test::Pool;

BOOST_AUTO_TEST_SUITE(schedule_builder_test)

BOOST_AUTO_TEST_CASE(wrr_matches_sequences_of_a_real_kernel) {
    const struct {
        std::vector<std::int32_t> weights;
        const char* built_one_by_one;
        const char* bound_to_a_pool;
    } rows[] = {
        {{4, 3, 2}, "ABCAABABCABCAABABCAB", "AABABCABCAABABCABCAA"},
        {{1, 2, 3}, "ABCCBCABCCBCABCCBCAB", "CBCABCCBCABCCBCABCCB"},
        {{10, 20, 5}, "ABCBBABABCBBABABCBBA", "BBABABCBBABABCBBABAB"},
        {{3, 0, 6}, "ACCACCACCACCACCACCAC", "CACCACCACCACCACCACCA"},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.built_one_by_one) {
            Pool built = Pool::one_by_one(SchedulerKind::wrr, row.weights);
            BOOST_TEST(built.picks(20) == row.built_one_by_one);
            Pool bound{SchedulerKind::wrr, row.weights};
            BOOST_TEST(bound.picks(20) == row.bound_to_a_pool);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_worker_that_sleeps_through_changes_agrees_with_one_that_picks_in_between) {
    Pool pool = Pool::one_by_one(SchedulerKind::wrr, {4, 3, 2});
    SchedulerState awake;
    SchedulerState asleep;
    BOOST_TEST(pool.picks(5, awake) == pool.picks(5, asleep));
    pool.set_weight('B', 8);
    catch_up(pool.service, awake);
    pool.set_weight('C', 6);
    catch_up(pool.service, awake);
    pool.remove('A');
    catch_up(pool.service, awake);
    BOOST_TEST(pool.picks(20, awake) == pool.picks(20, asleep));
}

BOOST_AUTO_TEST_CASE(editing_a_destination_restarts_wrr_but_not_rr) {
    Pool weighted = Pool::one_by_one(SchedulerKind::wrr, {1, 1, 1});
    weighted.pick();
    weighted.set_weight('B', 1);
    BOOST_TEST(weighted.pick() == 'A');
    Pool plain = Pool::one_by_one(SchedulerKind::rr, {1, 1, 1});
    plain.pick();
    plain.set_weight('B', 1);
    BOOST_TEST(plain.pick() == 'B');
}

BOOST_AUTO_TEST_CASE(the_history_is_bounded_and_a_fresh_worker_still_starts_exactly) {
    Pool pool{SchedulerKind::wrr};
    Pool twin{SchedulerKind::wrr};
    pool.add('A', 1);
    twin.add('A', 1);
    for (std::int32_t i = 0; i < 500; ++i) {
        pool.set_weight('A', i % 7 + 1);
        twin.set_weight('A', i % 7 + 1);
        catch_up(twin.service, twin.own_state);
    }
    pool.add('B', 5);
    twin.add('B', 5);
    BOOST_TEST(pool.service.changes.size() <= 64U);
    BOOST_TEST(pool.picks(30) == twin.picks(30));
}

BOOST_AUTO_TEST_CASE(rr_steps_back_when_the_cursor_leaves) {
    Pool pool = Pool::one_by_one(SchedulerKind::rr, {1, 1, 1, 1});
    BOOST_TEST(pool.picks(3) == "ABC");
    pool.remove('C');
    BOOST_TEST(pool.pick() == 'D');
    BOOST_TEST(pool.picks(2) == "AB");
    pool.remove('B');
    pool.remove('A');
    BOOST_TEST(pool.picks(2) == "DD");
}

BOOST_AUTO_TEST_CASE(rr_keeps_its_place_when_destinations_are_added_in_front) {
    Pool pool{SchedulerKind::rr};
    pool.add('C', 1);
    pool.add('B', 1);
    BOOST_TEST(pool.pick() == 'B');
    pool.add('A', 1);
    BOOST_TEST(pool.picks(4) == "CABC");
}

BOOST_AUTO_TEST_CASE(a_replaced_scheduler_and_a_reused_slot_start_afresh) {
    Pool pool = Pool::one_by_one(SchedulerKind::rr, {1, 1, 1});
    BOOST_TEST(pool.picks(2) == "AB");
    pool.builder.bind(pool.service);
    BOOST_TEST(pool.pick() == 'A');

    Service other = pool.service;
    other.scheduler = SchedulerKind::wrr;
    pool.builder.bind(other);
    pool.service = other;
    BOOST_TEST(pool.pick() == 'A');
}

BOOST_AUTO_TEST_CASE(editing_the_service_changes_nothing_for_the_scheduler) {
    Pool pool = Pool::one_by_one(SchedulerKind::rr, {1, 1, 1});
    pool.pick();
    Service next = pool.service;
    next.version = 0;
    next.changes.clear();
    next.flags.word = 8;
    pool.builder.service_edited(next, pool.service);
    pool.service = next;
    BOOST_TEST(pool.picks(2) == "BC");
}

BOOST_AUTO_TEST_CASE(versions_never_repeat_across_services) {
    ScheduleBuilder builder;
    Service one;
    Service two;
    builder.bind(one);
    builder.bind(two);
    const Service old = one;
    builder.destination_changed(one, old);
    BOOST_TEST(one.version > two.version);
    BOOST_TEST(two.version > old.version);
    BOOST_TEST(one.bound_version == old.version);
    BOOST_TEST(one.changes.back().version == one.version);
}

BOOST_AUTO_TEST_CASE(sh_and_dh_fill_their_buckets_in_list_order) {
    Pool source{SchedulerKind::sh, std::vector<std::int32_t>{3, 0, 1}};
    const auto& buckets = source.service.buckets;
    const std::vector<std::uint32_t> start{buckets.begin(), buckets.begin() + 10};
    BOOST_TEST(
        start == (std::vector<std::uint32_t>{0, 0, 0, 1, 2, 0, 0, 0, 1, 2}),
        boost::test_tools::per_element()
    );
    BOOST_TEST(std::count(buckets.begin(), buckets.end(), 0U) == 154);
    BOOST_TEST(std::count(buckets.begin(), buckets.end(), 1U) == 51);
    BOOST_TEST(std::count(buckets.begin(), buckets.end(), 2U) == 51);

    Pool destination{SchedulerKind::dh, std::vector<std::int32_t>{3, 0, 1}};
    for (std::uint32_t i = 0; i < 256; ++i) BOOST_TEST(destination.service.buckets[i] == i % 3);
}

BOOST_AUTO_TEST_SUITE_END()
