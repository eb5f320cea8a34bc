#include "forwarding/connections/flow_hash.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <boost/test/unit_test.hpp>

namespace nlvs::forwarding {
namespace {

constexpr std::uint32_t buckets = 4096;

FlowKey<V4> key(std::uint32_t client, std::uint16_t port) {
    return {net::Ipv4Address{client}, net::Ipv4Address{0xC0000201U}, net::Port{port}, net::Port{std::uint16_t{443}}, 6};
}

/// How many of the keys meet in the fullest of all buckets.
std::size_t fullest(const FlowHash<V4>& hash, const std::vector<FlowKey<V4>>& keys) {
    std::vector<std::size_t> count(buckets);
    for (const auto& each : keys) ++count[static_cast<std::uint32_t>(hash(each)) % buckets];
    return *std::ranges::max_element(count);
}

/// An attacker who has the source and a director of his own: keys that all fall into one bucket
/// there.
std::vector<FlowKey<V4>> colliding(const FlowHash<V4>& hash, std::size_t wanted) {
    std::vector<FlowKey<V4>> keys;
    for (std::uint32_t n = 0; keys.size() < wanted; ++n) {
        const auto candidate = key(0x0A000000U + n / 60'000, static_cast<std::uint16_t>(1024 + n % 60'000));
        if (static_cast<std::uint32_t>(hash(candidate)) % buckets == 7) keys.push_back(candidate);
    }
    return keys;
}

BOOST_AUTO_TEST_SUITE(flow_hash)

BOOST_AUTO_TEST_CASE(keys_that_collide_under_one_seed_spread_under_every_other) {
    const FlowHash<V4> attackers{1};
    const auto keys = colliding(attackers, 1000);
    BOOST_TEST(fullest(attackers, keys) == 1000U);
    for (std::uint64_t seed = 2; seed < 34; ++seed) {
        // 1000 balls in 4096 boxes: ten in one happens once in 10^9 tries.
        BOOST_TEST(fullest(FlowHash<V4>{seed}, keys) < 10U);
    }
}

BOOST_AUTO_TEST_CASE(regular_keys_spread) {
    struct Row {
        const char* name;
        std::uint32_t client_step;
        std::uint16_t port_step;
    };

    constexpr Row rows[] = {
        {"one client, ports in order", 0, 1},
        {"one client, every 16th port", 0, 16},
        {"clients in order, one port", 1, 0},
        {"a client in each /24", 256, 0},
        {"a client in each /16", 65'536, 0},
        {"ports and clients together", 1, 1},
    };
    for (const Row& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            std::vector<FlowKey<V4>> keys;
            for (std::uint32_t n = 0; n < 4000; ++n) {
                keys.push_back(key(0x0A000000U + n * row.client_step, static_cast<std::uint16_t>(n * row.port_step)));
            }
            BOOST_TEST(fullest(FlowHash<V4>{0x5EED}, keys) < 14U);
        }
    }
}

BOOST_AUTO_TEST_CASE(both_ends_of_a_key_count) {
    const FlowHash<V6> hash{3};
    FlowKey<V6> flow;
    flow.protocol = 17;
    const auto reference = hash(flow);
    for (std::size_t byte = 0; byte < 16; ++byte) {
        net::Ipv6Address::Bytes changed{};
        changed[byte] = 1;
        flow.source = net::Ipv6Address{changed};
        flow.destination = {};
        BOOST_TEST(hash(flow) != reference);
        flow.destination = flow.source;
        flow.source = {};
        BOOST_TEST(hash(flow) != reference);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nlvs::forwarding
