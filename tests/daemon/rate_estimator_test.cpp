#include "daemon/rate_estimator.hpp"

#include <boost/test/unit_test.hpp>

#include <array>

namespace nlvs::daemon {
namespace {

BOOST_AUTO_TEST_SUITE(rate_estimator_test)

BOOST_AUTO_TEST_CASE(a_constant_load_rises_as_the_kernels_estimator_shows_it) {
    constexpr std::array<std::uint64_t, 6> connections{250, 437, 578, 684, 763, 822};
    constexpr std::array<std::uint64_t, 6> bytes{250000, 437500, 578125, 683594, 762695, 822021};
    RateEstimator estimator;
    ipvs::Totals live;
    estimator.start(live);
    for (std::size_t tick = 0; tick < connections.size(); ++tick) {
        live.connections += 2 * 1000;
        live.in_bytes += 2 * 1'000'000;
        estimator.tick(live);
        const ipvs::Statistics shown = estimator.view();
        BOOST_TEST_CONTEXT("tick " << tick + 1) {
            BOOST_TEST(shown.rates.connections == connections[tick]);
            BOOST_TEST(shown.rates.in_bytes == bytes[tick]);
            BOOST_TEST(shown.rates.out_bytes == 0U);
            BOOST_TEST(shown.totals.connections == 2000 * (tick + 1));
        }
    }
}

BOOST_AUTO_TEST_CASE(rates_fall_back_to_zero_when_nothing_comes) {
    RateEstimator estimator;
    ipvs::Totals live;
    estimator.start(live);
    live.in_packets = 1'000'000;
    estimator.tick(live);
    BOOST_TEST(estimator.view().rates.in_packets == 125000U);
    for (int i = 0; i < 200; ++i) estimator.tick(live);
    BOOST_TEST(estimator.view().rates.in_packets == 0U);
}

BOOST_AUTO_TEST_CASE(what_was_live_at_the_start_is_not_shown) {
    RateEstimator estimator;
    ipvs::Totals live{5, 6, 7, 8, 9};
    estimator.start(live);
    estimator.tick(live);
    BOOST_TEST((estimator.view() == ipvs::Statistics{}));
}

BOOST_AUTO_TEST_CASE(growth_between_the_last_tick_and_zero_appears_after_the_next_tick) {
    RateEstimator estimator;
    ipvs::Totals live;
    estimator.start(live);
    live.connections = 10;
    estimator.tick(live);
    live.connections = 13;
    estimator.zero();
    BOOST_TEST((estimator.view() == ipvs::Statistics{}));
    estimator.tick(live);
    BOOST_TEST(estimator.view().totals.connections == 3U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nlvs::daemon
