#include "daemon/worker_rows_text.hpp"

#include <boost/test/unit_test.hpp>
#include <deque>
#include <optional>
#include <string>

#include "compat/procfs/statistics_text.hpp"
#include "tests/daemon/control_fixture.hpp"

namespace nlvs::daemon {
namespace {

/// Two workers that have counted a packet for each of many destinations, the second one two.
struct Fixture : ControlFixture {
    static constexpr std::uint32_t destinations = 40'000;

    Fixture() {
        reader.add_service(forwarding::ServiceId{0});
        for (std::uint32_t i = 0; i < destinations; ++i) {
            for (auto* worker : {&first, &second}) {
                BOOST_TEST_REQUIRE(worker->destinations.ensure(i));
            }
            reader.attach(forwarding::DestinationId{i}, forwarding::ServiceId{0}, Origin::created);
            first.destinations[i].count_in(1, 100);
            second.destinations[i].count_in(2, 200);
        }
    }

    std::unique_ptr<WorkerRowsText> open() {
        return std::make_unique<WorkerRowsText>(
            control, reader, [this](std::function<void()> work) { ready.push_back(std::move(work)); }
        );
    }

    /// Others' turns until the piece was there.
    int run(const std::optional<std::string>& piece) {
        int turns = 0;
        for (; !piece && !ready.empty(); ++turns) {
            const auto work = std::move(ready.front());
            ready.pop_front();
            work();
        }
        return turns;
    }

    forwarding::WorkerCounters first;
    forwarding::WorkerCounters second;
    StatisticsReader reader{{&first, &second}};
    std::deque<std::function<void()>> ready;
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(worker_rows_text_test, Fixture)

BOOST_AUTO_TEST_CASE(many_destinations_are_added_up_between_other_work) {
    const auto text = open();
    std::optional<std::string> piece;
    text->next([&](std::string words) { piece = std::move(words); });
    BOOST_TEST(!piece.has_value());
    BOOST_TEST(run(piece) == 2 * 3 - 1);  // slices of both workers, one of them at once
    ipvs::Totals one;
    one.in_packets = destinations;
    one.in_bytes = 100 * destinations;
    ipvs::Totals two;
    two.in_packets = 2 * destinations;
    two.in_bytes = 200 * destinations;
    BOOST_TEST_REQUIRE(piece.has_value());
    BOOST_TEST(*piece == procfs::statistics_per_cpu_text(std::vector{one, two}, {}));
    std::optional<std::string> end;
    text->next([&](std::string words) { end = std::move(words); });
    BOOST_TEST_REQUIRE(end.has_value());
    BOOST_TEST(end->empty());
}

BOOST_AUTO_TEST_CASE(a_file_that_is_closed_meanwhile_is_told_nothing) {
    auto text = open();
    std::optional<std::string> piece;
    text->next([&](std::string words) { piece = std::move(words); });
    text.reset();
    run(piece);
    BOOST_TEST(!piece.has_value());
}

BOOST_AUTO_TEST_CASE(without_workers_there_is_no_row) {
    const StatisticsReader nobody{{}};
    WorkerRowsText text{control, nobody, {}};
    std::optional<std::string> piece;
    text.next([&](std::string words) { piece = std::move(words); });
    BOOST_TEST_REQUIRE(piece.has_value());
    BOOST_TEST(*piece == procfs::statistics_per_cpu_text({}, {}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::daemon
