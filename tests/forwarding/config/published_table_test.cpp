#include "forwarding/config/published_table.hpp"

#include <atomic>
#include <cstdlib>
#include <random>
#include <thread>
#include <unordered_map>

#include <boost/test/unit_test.hpp>

using namespace nlvs::forwarding;

namespace {

struct Node {
    std::uint32_t key = 0;
    std::uint32_t value = 0;
    std::uint32_t check = key ^ value;
};

/// `Spread` 1 hashes well; 0 sends everything to one slot, so that probing does all the work.
template <std::uint64_t Spread>
struct Traits {
    static std::uint64_t hash(std::uint32_t key) noexcept {
        return key * 0x9E3779B97F4A7C15ULL * Spread >> 7;
    }

    static std::uint32_t key(const Node& node) noexcept { return node.key; }
};

template <std::uint64_t Spread = 1>
struct Fixture {
    QuiescentState quiescence;
    Reclaimer reclaimer{quiescence};
    PublishedTable<std::uint32_t, Node, Traits<Spread>> table;

    void insert(std::uint32_t key, std::uint32_t value) {
        table.insert(std::make_unique<const Node>(Node{key, value}), reclaimer);
    }

    /// 0 if not found.
    std::uint32_t find(std::uint32_t key) const {
        const Node* node = table.find(key);
        return node == nullptr ? 0 : node->value;
    }
};

std::uint32_t seed() {
    const char* given = std::getenv("NLVS_SEED");
    return given != nullptr ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                            : std::random_device{}();
}

template <std::uint64_t Spread>
void compare_with_model(std::uint32_t start, std::uint32_t keys) {
    std::mt19937 random{start};
    Fixture<Spread> f;
    std::unordered_map<std::uint32_t, std::uint32_t> model;
    for (int step = 0; step < 20000; ++step) {
        const auto key = static_cast<std::uint32_t>(random()) % keys;
        // Growth and decay in turn.
        if (random() % 10 < (step / 5000 % 2 == 0 ? 7U : 3U)) {
            const auto value = static_cast<std::uint32_t>(random() | 1);
            f.insert(key, value);
            model[key] = value;
        } else {
            BOOST_TEST_REQUIRE(f.table.remove(key, f.reclaimer) == (model.erase(key) == 1));
        }
        f.reclaimer.collect();
        BOOST_TEST_REQUIRE(f.table.size() == model.size());
        const auto probe = static_cast<std::uint32_t>(random()) % keys;
        const auto it = model.find(probe);
        BOOST_TEST_REQUIRE(f.find(probe) == (it == model.end() ? 0 : it->second));
    }
    for (std::uint32_t key = 0; key < keys; ++key) {
        const auto it = model.find(key);
        BOOST_TEST_REQUIRE(f.find(key) == (it == model.end() ? 0 : it->second));
    }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(published_table_test)

BOOST_AUTO_TEST_CASE(finds_what_was_inserted_and_nothing_else) {
    Fixture<> f;
    BOOST_TEST(f.find(7) == 0U);
    f.insert(7, 70);
    f.insert(8, 80);
    BOOST_TEST(f.find(7) == 70U);
    BOOST_TEST(f.find(8) == 80U);
    BOOST_TEST(f.find(9) == 0U);
    BOOST_TEST(f.table.size() == 2U);
}

BOOST_AUTO_TEST_CASE(insert_replaces_and_remove_says_whether_there_was_one) {
    Fixture<> f;
    f.insert(7, 70);
    f.insert(7, 71);
    BOOST_TEST(f.find(7) == 71U);
    BOOST_TEST(f.table.size() == 1U);
    BOOST_TEST(f.table.remove(7, f.reclaimer));
    BOOST_TEST(!f.table.remove(7, f.reclaimer));
    BOOST_TEST(f.find(7) == 0U);
    BOOST_TEST(f.table.size() == 0U);
}

BOOST_AUTO_TEST_CASE(a_removed_entry_does_not_hide_those_behind_it) {
    Fixture<0> f;
    for (std::uint32_t key = 1; key <= 10; ++key) f.insert(key, key);
    for (std::uint32_t key = 1; key <= 10; key += 2) BOOST_TEST(f.table.remove(key, f.reclaimer));
    for (std::uint32_t key = 1; key <= 10; ++key)
        BOOST_TEST(f.find(key) == (key % 2 == 0 ? key : 0));
    f.insert(10, 100);  // must not land in the hole in front of itself a second time
    BOOST_TEST(f.table.remove(10, f.reclaimer));
    BOOST_TEST(f.find(10) == 0U);
}

BOOST_AUTO_TEST_CASE(endless_coming_and_going_neither_fills_nor_slows_the_table) {
    Fixture<> f;
    for (std::uint32_t key = 1; key <= 100000; ++key) {
        f.insert(key, key);
        if (key > 10) BOOST_TEST_REQUIRE(f.table.remove(key - 10, f.reclaimer));
        f.reclaimer.collect();
    }
    BOOST_TEST(f.table.size() == 10U);
    BOOST_TEST(f.find(99990) == 0U);
    BOOST_TEST(f.find(99991) == 99991U);
}

BOOST_AUTO_TEST_CASE(equals_a_model_under_random_changes) {
    const auto start = seed();
    BOOST_TEST_CONTEXT("NLVS_SEED=" << start) {
        compare_with_model<1>(start, 4000);
        compare_with_model<1>(start, 30);
        compare_with_model<0>(start, 60);
    }
}

BOOST_AUTO_TEST_CASE(an_entry_that_stays_is_found_by_readers_through_growth_and_shrinking) {
    Fixture<> f;
    for (std::uint32_t key = 1; key <= 16; ++key) f.insert(key, key);
    std::atomic<bool> stop{false};
    std::atomic<int> started{0};
    std::atomic<int> wrong{0};
    const auto read = [&](WorkerId worker) {
        f.quiescence.register_worker(worker);
        started.fetch_add(1);
        while (!stop.load(std::memory_order_relaxed)) {
            for (std::uint32_t key = 1; key <= 400; ++key) {
                const Node* node = f.table.find(key);
                if (node == nullptr ? key <= 16
                                    : (node->key != key || node->check != (key ^ node->value))) {
                    ++wrong;
                }
            }
            f.quiescence.report(worker);
        }
        f.quiescence.unregister_worker(worker);
    };
    std::thread first{read, WorkerId{0}};
    std::thread second{read, WorkerId{1}};
    while (started.load() < 2) std::this_thread::yield();
    for (std::uint32_t round = 0; round < 30; ++round) {
        for (std::uint32_t key = 17; key <= 400; ++key) f.insert(key, round);
        for (std::uint32_t key = 1; key <= 16; ++key) f.insert(key, round);
        for (std::uint32_t key = 17; key <= 400; ++key) f.table.remove(key, f.reclaimer);
        f.reclaimer.collect();
    }
    stop = true;
    first.join();
    second.join();
    BOOST_TEST(wrong == 0);
    BOOST_TEST(f.table.size() == 16U);
    f.reclaimer.collect();
    BOOST_TEST(f.reclaimer.pending() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
