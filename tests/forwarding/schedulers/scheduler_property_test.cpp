#include "tests/forwarding/schedulers/pool.hpp"

#include <cstdlib>
#include <map>
#include <numeric>
#include <random>

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::forwarding;
using test::Pool;

namespace {

std::uint32_t seed() {
    const char* given = std::getenv("NLVS_SEED");
    const auto value = given != nullptr
                           ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                           : std::random_device{}();
    BOOST_TEST_MESSAGE("NLVS_SEED=" << value);
    return value;
}

std::vector<std::int32_t> random_weights(std::mt19937& random, std::int32_t highest) {
    std::vector<std::int32_t> weights(1 + random() % 12);
    for (auto& weight : weights)
        weight = static_cast<std::int32_t>(random() % static_cast<unsigned>(highest + 1));
    weights[random() % weights.size()] =
        1 + static_cast<std::int32_t>(random() % static_cast<unsigned>(highest));
    return weights;
}

/// `connections` spread at random over `workers` schedulers of one service; picks per name.
std::map<char, int> spread(Pool& pool, std::mt19937& random, std::size_t workers, int connections) {
    std::vector<SchedulerState> states(workers);
    std::map<char, int> seen;
    for (int i = 0; i < connections; ++i) ++seen[pool.pick(states[random() % workers])];
    return seen;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(scheduler_property_test)

BOOST_AUTO_TEST_CASE(rr_shares_differ_by_at_most_one_connection_per_worker) {
    const auto start = seed();
    BOOST_TEST_CONTEXT("seed " << start) {
        std::mt19937 random{start};
        for (const std::size_t workers : {1U, 2U, 5U, 16U}) {
            for (int round = 0; round < 20; ++round) {
                const auto weights = random_weights(random, 3);
                Pool pool = Pool::one_by_one(SchedulerKind::rr, weights);
                auto seen = spread(pool, random, workers, 2000);
                int least = 2000;
                int most = 0;
                for (std::size_t i = 0; i < weights.size(); ++i) {
                    const int share = seen[static_cast<char>('A' + i)];
                    if (weights[i] == 0) {
                        BOOST_TEST(share == 0);
                        continue;
                    }
                    least = std::min(least, share);
                    most = std::max(most, share);
                }
                BOOST_TEST(most - least <= static_cast<int>(workers));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(wrr_shares_follow_the_weights_within_one_cycle_per_worker) {
    const auto start = seed();
    BOOST_TEST_CONTEXT("seed " << start) {
        std::mt19937 random{start};
        for (const std::size_t workers : {1U, 2U, 5U, 16U}) {
            for (int round = 0; round < 20; ++round) {
                const auto weights = random_weights(random, 40);
                Pool pool = round % 2 == 0 ? Pool::one_by_one(SchedulerKind::wrr, weights)
                                           : Pool{SchedulerKind::wrr, weights};
                const int connections = 20000;
                auto seen = spread(pool, random, workers, connections);
                const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
                const double divisor = pool.service.changes.back().divisor;
                for (std::size_t i = 0; i < weights.size(); ++i) {
                    // A worker serves whole cycles exactly. Its broken cycles, one at the start
                    // and one at the end, are each off by at most the reduced
                    // weight.
                    const double ideal = connections * weights[i] / sum;
                    const double reduced = weights[i] / divisor;
                    const double bound = static_cast<double>(workers) * 2 * reduced + 1e-6;
                    BOOST_TEST(std::abs(seen[static_cast<char>('A' + i)] - ideal) <= bound);
                }
            }
        }
    }
}

/// The kernel's way of counting down pass by pass, as an oracle for the skipping of idle passes.
struct PassByPass {
    std::string list;
    std::map<char, std::int32_t> weights;
    std::int32_t maximum = 0;
    std::int32_t divisor = 1;
    std::int32_t current = 0;
    std::size_t at = 0;

    char next() {
        for (std::int64_t guard = 0; guard < 100000; ++guard) {
            if (at == list.size()) {
                at = 0;
                current -= divisor;
                if (current <= 0) current = maximum;
            }
            const char name = list[at++];
            if (weights[name] >= current) return name;
        }
        return '-';
    }
};

BOOST_AUTO_TEST_CASE(wrr_equals_a_count_down_pass_by_pass_while_destinations_are_overloaded) {
    const auto start = seed();
    BOOST_TEST_CONTEXT("seed " << start) {
        std::mt19937 random{start};
        for (int round = 0; round < 200; ++round) {
            const auto weights = random_weights(random, 60);
            Pool pool{SchedulerKind::wrr, weights};
            PassByPass oracle;
            oracle.maximum = pool.service.changes.back().maximum_weight;
            oracle.divisor = pool.service.changes.back().divisor;
            oracle.current = oracle.maximum;
            bool usable = false;
            for (std::size_t i = 0; i < weights.size(); ++i) {
                const char name = static_cast<char>('A' + i);
                const bool overloaded = random() % 3 == 0;
                pool.slot(name).totals.overloaded = overloaded;
                oracle.list += name;
                oracle.weights[name] = overloaded ? 0 : weights[i];
                usable = usable || (!overloaded && weights[i] > 0);
            }
            if (!usable) continue;
            for (int i = 0; i < 200; ++i) BOOST_TEST_REQUIRE(pool.pick() == oracle.next());
        }
    }
}

BOOST_AUTO_TEST_CASE(twos_without_load_shares_by_weight) {
    const auto start = seed();
    BOOST_TEST_CONTEXT("seed " << start) {
        std::mt19937 random{start};
        Pool pool{SchedulerKind::twos, std::vector<std::int32_t>{100, 200, 300}};
        pool.random = RandomSource{random()};
        auto seen = spread(pool, random, 3, 60000);
        // With equal loads the first draw decides. Five standard deviations of a binomial share,
        // and the one extra chance of the first destination.
        BOOST_TEST(std::abs(seen['A'] - 10000) <= 5 * 92 + 100);
        BOOST_TEST(std::abs(seen['B'] - 20000) <= 5 * 116 + 100);
        BOOST_TEST(std::abs(seen['C'] - 30000) <= 5 * 123 + 100);
    }
}

BOOST_AUTO_TEST_SUITE_END()
