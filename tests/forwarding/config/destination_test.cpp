#include "forwarding/config/destination.hpp"

#include <thread>

#include <boost/test/unit_test.hpp>

using namespace nlvs::forwarding;

namespace {

/// Totals with `connections` bound under the thresholds `upper` and `lower`.
struct Fixture {
    DestinationSlot slot;
    DestinationSlot::Totals& totals = slot.totals;

    void thresholds(std::uint32_t upper, std::uint32_t lower) {
        totals.upper_threshold = upper;
        totals.lower_threshold = lower;
        totals.reevaluate();
    }

    void bind(int count) {
        for (int i = 0; i < count; ++i) totals.bind();
    }

    void unbind(int count) {
        for (int i = 0; i < count; ++i) totals.unbind(false);
    }

    /// Connections left when the flag falls, counting down from now; -1 if it never does.
    int falls_at() {
        while (totals.connections > 0) {
            totals.unbind(false);
            if (!totals.overloaded) return static_cast<int>(totals.connections);
        }
        return -1;
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(destination_test)

BOOST_FIXTURE_TEST_CASE(without_thresholds_nothing_overloads, Fixture) {
    bind(1000);
    BOOST_TEST(!totals.overloaded);
    unbind(1000);
    BOOST_TEST(!totals.overloaded);
    BOOST_TEST(totals.connections == 0U);
}

BOOST_FIXTURE_TEST_CASE(reaching_the_upper_threshold_sets_the_flag, Fixture) {
    thresholds(10, 0);
    bind(9);
    BOOST_TEST(!totals.overloaded);
    bind(1);
    BOOST_TEST(totals.overloaded);
    bind(5);
    BOOST_TEST(totals.overloaded);
}

BOOST_AUTO_TEST_CASE(the_flag_falls_below_the_lower_threshold) {
    const struct {
        const char* name;
        std::uint32_t upper;
        std::uint32_t lower;
        int falls_at;
    } rows[] = {
        {"given", 10, 4, 3},
        {"equal to the upper", 10, 10, 9},
        {"implied: 10 - 10/4 = 8", 10, 0, 7},
        {"implied: 3 - 0 = 3", 3, 0, 2},
        {"implied: 4 - 1 = 3", 4, 0, 2},
        {"one", 1, 0, 0},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            Fixture f;
            f.thresholds(row.upper, row.lower);
            f.bind(static_cast<int>(row.upper));
            BOOST_TEST(f.totals.overloaded);
            BOOST_TEST(f.falls_at() == row.falls_at);
        }
    }
}

BOOST_AUTO_TEST_CASE(changed_thresholds_are_evaluated_at_once) {
    const struct {
        const char* name;
        std::uint32_t upper;
        std::uint32_t lower;
        bool before;
        bool after;
    } rows[] = {
        // With 10 connections.
        {"total above the new upper sets", 8, 0, false, true},
        {"total equal to the new upper sets", 10, 0, false, true},
        {"between lower and upper keeps it clear", 12, 9, false, false},
        {"between lower and upper keeps it set", 12, 9, true, true},
        {"equal to lower keeps it set", 12, 10, true, true},
        {"below lower clears", 20, 11, true, false},
        {"below the implied lower clears", 20, 0, true, false},
        {"no upper clears", 0, 0, true, false},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            Fixture f;
            f.bind(10);
            f.totals.overloaded = row.before;
            f.thresholds(row.upper, row.lower);
            BOOST_TEST(f.totals.overloaded == row.after);
        }
    }
}

BOOST_FIXTURE_TEST_CASE(the_flag_rises_again_after_it_has_fallen, Fixture) {
    thresholds(4, 2);
    bind(4);
    unbind(3);
    BOOST_TEST(!totals.overloaded);
    bind(2);
    BOOST_TEST(!totals.overloaded);
    bind(1);
    BOOST_TEST(totals.overloaded);
}

BOOST_FIXTURE_TEST_CASE(closing_an_active_connection_takes_it_from_both_counts, Fixture) {
    totals.bind();
    totals.bind();
    totals.active = 1;
    totals.unbind(true);
    BOOST_TEST(totals.active == 0U);
    BOOST_TEST(totals.connections == 1U);
    totals.unbind(false);
    BOOST_TEST(totals.active == 0U);
    BOOST_TEST(totals.connections == 0U);
}

BOOST_FIXTURE_TEST_CASE(the_sum_is_exact_whoever_counts, Fixture) {
    thresholds(100, 0);
    const auto churn = [this] {
        for (int i = 0; i < 10000; ++i) {
            totals.bind();
            if (i >= 10) totals.unbind(false);
        }
    };
    std::thread first{churn};
    std::thread second{churn};
    first.join();
    second.join();
    BOOST_TEST(totals.connections == 20U);
    BOOST_TEST(!totals.overloaded);
}

BOOST_AUTO_TEST_SUITE_END()
