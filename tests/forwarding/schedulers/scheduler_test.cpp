#include "forwarding/schedulers/scheduler.hpp"

#include "forwarding/schedulers/source_hash.hpp"
#include "tests/forwarding/schedulers/pool.hpp"

#include <map>

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::forwarding;
using test::Pool;

namespace {

struct Load {
    std::int32_t weight;
    std::uint32_t active;
    std::uint32_t inactive;
    bool overloaded = false;
};

/// The choice of `kind` among destinations A, B … with these loads.
char choice(SchedulerKind kind, const std::vector<Load>& loads) {
    std::vector<std::int32_t> weights;
    for (const auto& load : loads) weights.push_back(load.weight);
    Pool pool{kind, weights};
    for (std::size_t i = 0; i < loads.size(); ++i) {
        auto& totals = pool.slots[i].totals;
        totals.active = loads[i].active;
        totals.connections = loads[i].active + loads[i].inactive;
        totals.overloaded = loads[i].overloaded;
    }
    return pool.pick();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(scheduler_test)

BOOST_AUTO_TEST_CASE(names_are_the_kernels) {
    for (const char* name :
         {"none",
          "rr",
          "wrr",
          "lc",
          "wlc",
          "lblc",
          "lblcr",
          "dh",
          "sh",
          "mh",
          "sed",
          "nq",
          "fo",
          "ovf",
          "twos"}) {
        BOOST_TEST_CONTEXT(name) {
            const auto kind = parse_scheduler(name);
            BOOST_TEST_REQUIRE(kind.has_value());
            BOOST_TEST(print(*kind) == name);
        }
    }
    for (const char* name : {"", "RR", "wrrr", "roundrobin"}) {
        BOOST_TEST(!parse_scheduler(name).has_value());
    }
}

BOOST_AUTO_TEST_CASE(every_scheduler_copes_with_no_destination_and_with_none_usable) {
    using enum SchedulerKind;
    for (const auto kind :
         {none, rr, wrr, lc, wlc, lblc, lblcr, dh, sh, mh, sed, nq, fo, ovf, twos}) {
        BOOST_TEST_CONTEXT(print(kind)) {
            BOOST_TEST(choice(kind, {}) == '-');
            BOOST_TEST(choice(kind, {{0, 0, 0}, {0, 0, 0}}) == '-');
            BOOST_TEST(choice(kind, {{1, 0, 0, true}, {7, 0, 0, true}}) == '-');
            BOOST_TEST(choice(kind, {{2147483647, 0, 0, true}, {2147483646, 0, 0, true}}) == '-');
        }
    }
}

BOOST_AUTO_TEST_CASE(load_based_schedulers_follow_the_kernels_rules) {
    using enum SchedulerKind;

    const struct {
        const char* name;
        SchedulerKind kind;
        std::vector<Load> loads;
        char expected;
    } rows[] = {
        {"lc: least overhead", lc, {{1, 2, 0}, {1, 1, 9}, {1, 1, 10}}, 'B'},
        {"lc: one active outweighs 255 inactive", lc, {{1, 1, 0}, {1, 0, 256}}, 'B'},
        {"lc: an active one counts in the total as well", lc, {{1, 1, 0}, {1, 0, 257}}, 'A'},
        {"lc: ties go to the first", lc, {{1, 1, 1}, {9, 1, 1}}, 'A'},
        {"lc: weight zero is skipped", lc, {{0, 0, 0}, {1, 9, 9}}, 'B'},
        {"wlc: overhead per weight", wlc, {{1, 1, 0}, {3, 2, 0}}, 'B'},
        {"wlc: ties go to the first", wlc, {{2, 2, 0}, {1, 1, 0}}, 'A'},
        {"wlc: idle destinations tie whatever their weights", wlc, {{1, 0, 0}, {100, 0, 0}}, 'A'},
        {"wlc: overloaded is skipped", wlc, {{9, 0, 0, true}, {1, 9, 0}}, 'B'},
        {"wlc: products need 64 bits", wlc, {{2147483647, 1000, 0}, {1, 1, 0}}, 'A'},
        {"sed: faster first when idle", sed, {{1, 0, 0}, {3, 0, 0}}, 'B'},
        {"sed: ignores inactive", sed, {{1, 0, 900}, {1, 1, 0}}, 'A'},
        {"sed: ties go to the first", sed, {{1, 0, 0}, {3, 2, 0}}, 'A'},
        {"nq: the first idle one, however slow", nq, {{5, 1, 0}, {1, 0, 7}, {9, 0, 0}}, 'B'},
        {"nq: as sed when all are busy", nq, {{1, 1, 0}, {3, 1, 0}}, 'B'},
        {"nq: idle but overloaded does not count", nq, {{1, 0, 0, true}, {3, 1, 0}}, 'B'},
        {"fo: highest weight", fo, {{1, 0, 0}, {5, 99, 99}, {5, 0, 0}}, 'B'},
        {"fo: fails over", fo, {{1, 0, 0}, {5, 0, 0, true}, {4, 0, 0}}, 'C'},
        {"ovf: highest weight while active does not exceed it", ovf, {{2, 0, 0}, {5, 5, 0}}, 'B'},
        {"ovf: spills over", ovf, {{2, 0, 0}, {5, 6, 0}}, 'A'},
        {"ovf: all full", ovf, {{2, 3, 0}, {5, 6, 0}}, '-'},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            BOOST_TEST(choice(row.kind, row.loads) == row.expected);
        }
    }
}

BOOST_AUTO_TEST_CASE(rr_goes_around_and_skips_what_cannot_be_used) {
    Pool pool = Pool::one_by_one(SchedulerKind::rr, {1, 0, 5, 1});
    BOOST_TEST(pool.picks(7) == "ACDACDA");
    pool.slot('C').totals.overloaded = true;
    BOOST_TEST(pool.picks(4) == "DADA");
}

BOOST_AUTO_TEST_CASE(the_live_weight_wins_over_the_one_in_the_node) {
    Pool pool = Pool::one_by_one(SchedulerKind::rr, {1, 1});
    pool.slot('A').weight = 0;
    BOOST_TEST(pool.picks(2) == "BB");
}

BOOST_AUTO_TEST_CASE(wrr_with_huge_weights_and_an_overloaded_peak_does_not_count_down_one_by_one) {
    Pool pool{SchedulerKind::wrr, std::vector<std::int32_t>{2147483647, 3, 2}};
    pool.slot('A').totals.overloaded = true;
    BOOST_TEST(pool.picks(5) == "BBCBC");
}

BOOST_AUTO_TEST_CASE(sh_sends_sixty_clients_where_a_real_kernel_does) {
    Pool pool{SchedulerKind::sh};
    pool.add('A', 1);
    pool.add('B', 0);
    pool.add('C', 3);
    std::string choices;
    for (std::uint32_t i = 1; i <= 60; ++i) {
        pool.input.source = net::Ipv4Address{0xC0A80100U + i};
        choices += pool.pick();
    }
    // Recorded with Linux 6.1.192.
    BOOST_TEST(choices == "CACAC-C-C-C-C-CCCCCCACCCACAC-CAC-C-C-CCC-CCCCCCACAC-CAC-C-C-");
}

BOOST_AUTO_TEST_CASE(sh_fallback_finds_another_bucket_and_sh_port_mixes_the_port_in) {
    Pool pool{SchedulerKind::sh, std::vector<std::int32_t>{1, 1}};
    // 192.168.1.77 hashes to bucket 144 alone and to 52 with port 40000.
    BOOST_TEST(pool.pick() == 'A');
    pool.slot('A').weight = 0;
    BOOST_TEST(pool.pick() == '-');
    pool.service.flags.word = source_hash::fallback;
    BOOST_TEST(pool.pick() == 'B');

    Pool ports{SchedulerKind::sh, std::vector<std::int32_t>{145, 255}};
    BOOST_TEST(ports.pick() == 'A');
    ports.service.flags.word = source_hash::with_port;
    ports.input.source_port = net::Port{static_cast<std::uint16_t>(40000)};
    std::map<char, int> seen;
    for (std::uint16_t port = 1; port < 500; ++port) {
        ports.input.source_port = net::Port{port};
        ++seen[ports.pick()];
    }
    BOOST_TEST(seen.size() == 2U);
}

BOOST_AUTO_TEST_CASE(dh_looks_at_the_destination_address_and_at_availability) {
    Pool pool{SchedulerKind::dh, std::vector<std::int32_t>{1, 1, 1}};
    // 10.0.0.1 is bucket 39, 10.0.0.2 bucket 137.
    BOOST_TEST(pool.pick() == 'A');
    pool.input.destination = net::Ipv4Address{0x0A000002U};
    BOOST_TEST(pool.pick() == 'C');
    pool.slot('C').available = false;
    BOOST_TEST(pool.pick() == '-');
}

BOOST_AUTO_TEST_CASE(twos_takes_the_less_loaded_of_its_two_draws) {
    Pool pool{SchedulerKind::twos, std::vector<std::int32_t>{1, 1}};
    pool.slot('A').totals.connections = 1000;
    std::map<char, int> seen;
    for (int i = 0; i < 1000; ++i) ++seen[pool.pick()];
    // A draw hits A for 0 and 1 of {0, 1, 2}; both must: 4/9.
    BOOST_TEST(seen['A'] > 390);
    BOOST_TEST(seen['A'] < 500);
    BOOST_TEST(seen['A'] + seen['B'] == 1000);
}

BOOST_AUTO_TEST_SUITE_END()
