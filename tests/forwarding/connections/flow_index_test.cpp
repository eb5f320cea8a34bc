#include "forwarding/connections/flow_index.hpp"

#include "tests/forwarding/connections/seeded.hpp"

#include <unordered_map>
#include <vector>

#include <boost/test/unit_test.hpp>

using namespace nlvs::forwarding;
using nlvs::test::Seeded;

namespace {

/// The index beside a std::unordered_multimap of the same records.
struct Model {
    explicit Model(std::uint32_t initial_buckets)
        : index{1U << 20, initial_buckets, ReservedRegion::any_node} {}

    void insert(std::uint32_t hash) {
        const FlowReference reference{next++, Direction::request};
        BOOST_REQUIRE(index.can_insert(1));
        index.insert(hash, reference);
        index.grow();
        records.emplace(hash, reference.value);
    }

    void remove(std::unordered_multimap<std::uint32_t, std::uint32_t>::iterator at) {
        FlowReference reference;
        reference.value = at->second;
        BOOST_REQUIRE(index.remove(at->first, reference));
        BOOST_REQUIRE(!index.remove(at->first, reference));
        records.erase(at);
    }

    /// Each record is found exactly once.
    void check() const {
        BOOST_REQUIRE(index.records() == records.size());
        std::size_t wrong = 0;
        for (const auto& [hash, value] : records) {
            unsigned times = 0;
            index.find(hash, [&times, wanted = value](FlowReference reference) {
                times += reference.value == wanted;
                return false;
            });
            wrong += times != 1;
        }
        BOOST_REQUIRE(wrong == 0U);
    }

    FlowIndex index;
    std::uint32_t next = 1;
    std::unordered_multimap<std::uint32_t, std::uint32_t> records;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(flow_index_test)

BOOST_AUTO_TEST_CASE(grows_one_bucket_at_a_time_and_loses_nothing) {
    Seeded random;
    Model model{1};
    std::uint32_t buckets = 1;
    for (unsigned i = 0; i < 20000; ++i) {
        model.insert(static_cast<std::uint32_t>(random()));
        BOOST_REQUIRE(model.index.bucket_count() <= buckets + 1);
        buckets = model.index.bucket_count();
        if (i % 997 == 0) model.check();
    }
    model.check();
    BOOST_TEST(buckets >= 20000 * 4 / FlowIndex::load_quarters);
}

BOOST_AUTO_TEST_CASE(equals_a_multimap_under_random_changes) {
    Seeded random;
    Model model{2};
    const auto steps = Seeded::cases(300000);
    for (std::uint64_t i = 0; i < steps; ++i) {
        // Few distinct hashes, so that equal ones and long chains are common.
        const auto hash = static_cast<std::uint32_t>(random()) & 0x00010FFF;
        const bool growing = (i / 20000) % 3 != 2;
        const auto at = model.records.find(hash);
        if (at != model.records.end() && random.below(growing ? 3 : 1) == 0) {
            model.remove(at);
        } else if (growing) {
            model.insert(hash);
        }
        if (i % 20000 == 0) model.check();
    }
    model.check();
}

BOOST_AUTO_TEST_CASE(one_hash_for_all_makes_a_long_chain_that_can_be_taken_apart) {
    Seeded random;
    Model model{4};
    for (unsigned i = 0; i < 2000; ++i) model.insert(0xABCD0123);
    model.check();
    BOOST_TEST(model.index.overflow_count() == (2000 - 7 + 6) / 7);
    while (!model.records.empty()) {
        auto at = model.records.begin();
        std::advance(at, random.below(std::min<std::size_t>(model.records.size(), 50)));
        model.remove(at);
    }
    BOOST_TEST(model.index.overflow_count() == 0U);
}

BOOST_AUTO_TEST_CASE(chains_keep_no_more_buckets_than_they_need) {
    Seeded random;
    Model model{1};
    for (unsigned i = 0; i < 50000; ++i) model.insert(static_cast<std::uint32_t>(random()));
    // Load 4 of 7 on average, up to 8 in buckets that are yet to be split.
    BOOST_TEST(model.index.overflow_count() < model.index.bucket_count() / 3);
    while (!model.records.empty()) model.remove(model.records.begin());
    BOOST_TEST(model.index.overflow_count() == 0U);
    BOOST_TEST(model.index.records() == 0U);
}

BOOST_AUTO_TEST_CASE(matches_tells_the_records_that_exist_from_leftovers) {
    FlowBucket bucket;
    BOOST_TEST(bucket.matches(0) == 0U);
    bucket.append(5, {1, Direction::request});
    bucket.append(6, {2, Direction::request});
    bucket.append(5, {3, Direction::reply});
    BOOST_TEST(bucket.matches(5) == 0b101U);
    bucket.count = 1;
    BOOST_TEST(bucket.matches(5) == 0b001U);
    BOOST_TEST(bucket.matches(6) == 0U);
    bucket.overflow = 77;
    BOOST_TEST(bucket.matches(77) == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
