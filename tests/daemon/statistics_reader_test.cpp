#include "daemon/statistics_reader.hpp"

#include <array>
#include <boost/test/unit_test.hpp>

#include "tests/daemon/control_fixture.hpp"

namespace nlvs::daemon {
namespace {

struct Fixture : ControlFixture {
    ipvs::ServiceKey web = tcp_service("10.0.0.1", 80);
    ipvs::DestinationSpec server = masqueraded("10.0.0.11");

    Fixture() {
        BOOST_TEST_REQUIRE(control.add_service(web, scheduled_by("rr")).has_value());
        BOOST_TEST_REQUIRE(control.add_destination(web, server).has_value());
    }

    void count(std::size_t worker, std::uint64_t packets, std::uint64_t bytes) {
        const auto id = published(web)->destinations[0].id;
        workers[worker]->counters.destinations[id.value].count_in(packets, bytes);
    }

    ipvs::Statistics of_destination() const {
        ipvs::Statistics result;
        control.visit_destinations(web, 0, [&result](const ipvs::DestinationView& view) {
            result = view.statistics;
            return true;
        });
        return result;
    }

    ipvs::Statistics of_service() const { return control.find_service(web)->statistics; }
};

BOOST_FIXTURE_TEST_SUITE(statistics_reader_test, Fixture)

BOOST_AUTO_TEST_CASE(workers_are_summed_at_the_tick) {
    count(0, 3, 300);
    count(1, 2, 200);
    BOOST_TEST(of_destination().totals.in_packets == 0U);
    BOOST_TEST((control.tick_statistics() == StatisticsReader::period));
    BOOST_TEST(of_destination().totals.in_packets == 5U);
    BOOST_TEST(of_service().totals.in_bytes == 500U);
    BOOST_TEST(control.totals().totals.in_bytes == 500U);
    BOOST_TEST(of_destination().rates.in_packets == 1U);  // 5 / 2 s / 4, rounded as the kernel does
}

BOOST_AUTO_TEST_CASE(a_deleted_destinations_history_stays_in_service_and_totals) {
    count(0, 3, 300);
    BOOST_TEST_REQUIRE(control.remove_destination(web, server.key).has_value());
    control.tick_statistics();
    BOOST_TEST(of_service().totals.in_packets == 3U);
    BOOST_TEST_REQUIRE(control.remove_service(web).has_value());
    control.tick_statistics();
    BOOST_TEST(control.totals().totals.in_packets == 3U);
}

BOOST_AUTO_TEST_CASE(a_destination_re_added_to_its_service_keeps_its_figures) {
    count(0, 3, 300);
    control.tick_statistics();
    BOOST_TEST_REQUIRE(control.remove_destination(web, server.key).has_value());
    BOOST_TEST_REQUIRE(control.add_destination(web, server).has_value());
    BOOST_TEST(of_destination().totals.in_packets == 3U);
    control.tick_statistics();
    BOOST_TEST(of_service().totals.in_packets == 3U);
}

BOOST_AUTO_TEST_CASE(a_destination_re_added_to_a_new_service_starts_at_zero) {
    count(0, 3, 300);
    control.tick_statistics();
    BOOST_TEST_REQUIRE(control.remove_service(web).has_value());
    BOOST_TEST_REQUIRE(control.add_service(web, scheduled_by("rr")).has_value());
    BOOST_TEST_REQUIRE(control.add_destination(web, server).has_value());
    control.tick_statistics();
    BOOST_TEST((of_destination() == ipvs::Statistics{}));
    BOOST_TEST(of_service().totals.in_packets == 0U);
    BOOST_TEST(control.totals().totals.in_packets == 3U);
}

BOOST_AUTO_TEST_CASE(zeroing_one_service_leaves_the_totals) {
    count(0, 3, 300);
    control.tick_statistics();
    BOOST_TEST_REQUIRE(control.zero(web).has_value());
    BOOST_TEST((of_service() == ipvs::Statistics{}));
    BOOST_TEST((of_destination() == ipvs::Statistics{}));
    BOOST_TEST(control.totals().totals.in_packets == 3U);
    BOOST_TEST_REQUIRE(control.zero(std::nullopt).has_value());
    BOOST_TEST((control.totals() == ipvs::Statistics{}));
}

BOOST_AUTO_TEST_CASE(figures_freeze_while_estimation_is_off) {
    count(0, 3, 300);
    ipvs::Sysctls sysctls = control.sysctls();
    sysctls.run_estimation = 0;
    control.set_sysctls(sysctls);
    control.tick_statistics();
    BOOST_TEST(of_destination().totals.in_packets == 0U);
    sysctls.run_estimation = 1;
    control.set_sysctls(sysctls);
    control.tick_statistics();
    BOOST_TEST(of_destination().totals.in_packets == 3U);
}

BOOST_AUTO_TEST_CASE(a_workers_row_is_live_and_never_zeroed) {
    count(1, 3, 300);
    BOOST_TEST_REQUIRE(control.zero(std::nullopt).has_value());
    const std::array<std::uint64_t, 2> expected{0, 3};
    for (std::size_t worker = 0; worker < expected.size(); ++worker) {
        ipvs::Totals row;
        BOOST_TEST(control.statistics().add_slice(worker, 0, row) == StatisticsReader::end);
        BOOST_TEST(row.in_packets == expected[worker]);
    }
}

BOOST_AUTO_TEST_CASE(many_destinations_are_read_in_slices_and_none_is_missed) {
    constexpr std::uint32_t destinations = 40'000;
    forwarding::WorkerCounters counters;
    StatisticsReader reader{{&counters}};
    reader.add_service(forwarding::ServiceId{0});
    for (std::uint32_t i = 0; i < destinations; ++i) {
        BOOST_TEST_REQUIRE(counters.destinations.ensure(i));
        reader.attach(forwarding::DestinationId{i}, forwarding::ServiceId{0}, Origin::created);
        counters.destinations[i].count_in(1, 100);
    }
    std::chrono::milliseconds pass{0};
    int slices = 0;
    while (reader.totals().totals.in_packets == 0) {
        pass += reader.tick();
        BOOST_TEST_REQUIRE(++slices < 100);
    }
    BOOST_TEST(slices == 3);
    BOOST_TEST((pass > StatisticsReader::period - std::chrono::milliseconds{10}));
    BOOST_TEST((pass <= StatisticsReader::period));
    BOOST_TEST(reader.totals().totals.in_packets == destinations);
    BOOST_TEST(reader.destination(forwarding::DestinationId{destinations - 1}).totals.in_packets == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nlvs::daemon
