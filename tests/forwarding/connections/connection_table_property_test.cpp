#include "forwarding/connections/connection_table.hpp"
#include "tests/forwarding/connections/seeded.hpp"

#include <algorithm>
#include <thread>
#include <unordered_map>
#include <vector>

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::forwarding;
using net::Port;
using test::Seeded;

namespace {

/// Number n of a fixed family of connections, no two of which share a key in either direction.
template <class F>
void fill(Connection<F>& entry, std::uint32_t n);

template <>
void fill(Connection<V4>& entry, std::uint32_t n) {
    entry.client = net::Ipv4Address{0x0A000000U + (n >> 4)};
    entry.virtual_address = net::Ipv4Address{0xC0000201U};
    entry.destination = net::Ipv4Address{0xAC100000U + n % 7};
    entry.client_port = Port{static_cast<std::uint16_t>(1024 + (n & 15))};
}

template <>
void fill(Connection<V6>& entry, std::uint32_t n) {
    net::Ipv6Address::Bytes bytes{0x20, 0x01, 0x0D, 0xB8};
    for (unsigned i = 0; i < 4; ++i) bytes[4 + i * 3] = static_cast<std::uint8_t>(n >> (i * 8));
    entry.client = net::Ipv6Address{bytes};
    entry.virtual_address = net::Ipv6Address{{0xFC}};
    entry.destination = net::Ipv6Address{{0xFD, static_cast<std::uint8_t>(n % 7)}};
    entry.client_port = Port{static_cast<std::uint16_t>(1024 + (n & 15))};
}

template <class F>
struct Life {
    struct Expected {
        ConnectionIndex index;
        Ticks last_seen;
        Ticks timeout;
    };

    explicit Life(std::uint64_t seed) : random{}, table{4'000'000, seed, now} {}

    static Connection<F> example(std::uint32_t n) {
        Connection<F> entry;
        fill(entry, n);
        entry.virtual_port = Port{std::uint16_t{443}};
        entry.destination_port = Port{std::uint16_t{8443}};
        entry.protocol = n % 3 == 0 ? 17 : 6;
        entry.flags = static_cast<std::uint16_t>(n % 2 == 0 ? 0 : 3);
        return entry;
    }

    static FlowKey<F> request(const Connection<F>& e) {
        return {e.client, e.virtual_address, e.client_port, e.virtual_port, e.protocol};
    }

    static FlowKey<F> reply(const Connection<F>& e) {
        if (e.flags == 0) {
            return {e.destination, e.client, e.destination_port, e.client_port, e.protocol};
        }
        return request(e).inverted();
    }

    void open(std::uint32_t n) {
        Connection<F>* entry = table.allocate();
        BOOST_REQUIRE(entry != nullptr);
        *entry = example(n);
        entry->last_seen = now;
        entry->timeout = 1 + random.below(2000);
        entry->control = n;
        table.insert(entry);
        const auto found = table.find(request(*entry));
        BOOST_REQUIRE(found.connection == entry);
        model[n] = {found.index, now, entry->timeout};
    }

    void touch(std::uint32_t n) {
        Connection<F>* entry = table.find(request(example(n))).connection;
        entry->last_seen = now;
        entry->timeout = 1 + random.below(2000);
        table.reschedule(entry);
        model[n].last_seen = now;
        model[n].timeout = entry->timeout;
    }

    void close(std::uint32_t n) {
        table.remove(table.find(reply(example(n))).connection);
        model.erase(n);
    }

    /// True if the table and the model say the same about connection n.
    bool agrees(std::uint32_t n) {
        const Connection<F> entry = example(n);
        const auto in = table.find(request(entry));
        const auto out = table.find(reply(entry));
        const auto expected = model.find(n);
        if (expected == model.end()) return !in && !out;
        return in && out && in.connection == out.connection && in.index == expected->second.index &&
               in.connection->control == n && in.direction == Direction::request &&
               out.direction == Direction::reply;
    }

    void expire() {
        std::vector<std::uint32_t> fired;
        bool more = true;
        while (more) {
            const std::size_t before = fired.size();
            table.expire(now, 10'000, [&fired](Connection<F>& entry) {
                fired.push_back(entry.control);
                return true;
            });
            more = fired.size() != before;
        }
        std::size_t wrong = 0;
        for (const std::uint32_t n : fired) {
            const auto expected = model.find(n);
            wrong += expected == model.end() ||
                     now - expected->second.last_seen < expected->second.timeout;
            if (expected != model.end()) model.erase(expected);
        }
        BOOST_REQUIRE(wrong == 0U);
    }

    void check() {
        BOOST_REQUIRE(table.size() == model.size());
        std::size_t wrong = 0;
        for (const auto& [n, expected] : model) {
            wrong += !agrees(n) || now - expected.last_seen >= expected.timeout;
        }
        BOOST_REQUIRE(wrong == 0U);
        std::size_t shown = 0;
        table.visit(0, ~0U, [&shown](const Connection<F>&) { ++shown; });
        BOOST_REQUIRE(shown == model.size());
    }

    /// Grows to about `peak` connections and shrinks to none, twice.
    void run(std::uint32_t peak, std::uint64_t steps) {
        for (std::uint64_t step = 0; step < steps; ++step) {
            const bool growing = step * 4 / steps % 2 == 0;
            const std::uint32_t n = random.below(peak);
            std::size_t wrong = 0;
            if (!model.contains(n)) {
                wrong += !agrees(n);
                if (growing) open(n);
            } else if (random.below(8) == 0) {
                close(n);
            } else {
                touch(n);
            }
            wrong += !agrees(n) + !agrees(random.below(peak));
            BOOST_REQUIRE(wrong == 0U);
            if (step % (steps / 400) == 0) {
                now += 1 + random.below(20);
                expire();
            }
            if (step % (steps / 8) == 0) check();
        }
        now += 4000;
        for (unsigned i = 0; i < 8; ++i) expire();
        check();
        BOOST_TEST(table.size() == 0U);
        BOOST_TEST(table.index().overflow_count() == 0U);
    }

    Seeded random;
    Ticks now = ~Ticks{0} - 3000;
    ConnectionTable<F> table;
    std::unordered_map<std::uint32_t, Expected> model;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(connection_table_property_test)

BOOST_AUTO_TEST_CASE(equals_a_map_of_v4_connections) {
    Life<V4> life{Seeded{}()};
    life.run(400'000, Seeded::cases(1'200'000));
    BOOST_TEST(life.table.index().bucket_count() > FlowIndex::step_buckets);
}

BOOST_AUTO_TEST_CASE(equals_a_map_of_v6_connections) {
    Life<V6> life{Seeded{}()};
    life.run(100'000, Seeded::cases(500'000));
}

BOOST_AUTO_TEST_CASE(equals_a_map_while_control_reserves_memory) {
    Life<V4> life{Seeded{}()};
    std::jthread control{[&life](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            life.table.reserve(10'000);
            std::this_thread::yield();
        }
    }};
    life.run(100'000, Seeded::cases(300'000));
}

/// Whoever knows the seed can fill one bucket: slow, but correct.
BOOST_AUTO_TEST_CASE(stays_right_when_all_connections_share_a_bucket) {
    Life<V4> life{4711};
    std::vector<std::uint32_t> chosen;
    std::uint32_t n = 0;
    for (; chosen.size() < 60; ++n) {
        const auto key = Life<V4>::request(Life<V4>::example(n));
        if ((life.table.hash_of(key) & (FlowIndex::step_buckets - 1)) == 5) chosen.push_back(n);
    }
    for (const std::uint32_t number : chosen) life.open(number);
    BOOST_TEST(life.table.index().overflow_count() >= 60U / 7);
    life.check();
    std::ranges::shuffle(chosen, std::mt19937{7});
    for (const std::uint32_t number : chosen) {
        life.close(number);
        BOOST_REQUIRE(life.agrees(number));
    }
    life.check();
    BOOST_TEST(life.table.index().overflow_count() == 0U);
}

BOOST_AUTO_TEST_CASE(a_connection_costs_its_share_of_128_and_192_bytes) {
    Life<V4> v4{1};
    Life<V6> v6{1};
    constexpr std::uint32_t count = 500'000;
    for (std::uint32_t n = 0; n < count; ++n) {
        v4.open(n);
        v6.open(n);
    }
    BOOST_TEST_MESSAGE(
        "bytes per connection: v4 " << v4.table.memory() / count << ", v6 "
                                    << v6.table.memory() / count
    );
    BOOST_TEST(v4.table.memory() / count <= 128U);
    BOOST_TEST(v6.table.memory() / count <= 192U);
}

/// Bit-flips in a key change the bucket evenly: no part of the key is weakly mixed.
BOOST_AUTO_TEST_CASE(consecutive_clients_spread_evenly) {
    Life<V4> life{Seeded{}()};
    constexpr std::uint32_t buckets = 1024;
    constexpr std::uint32_t keys = buckets * 100;
    std::vector<std::uint32_t> hits(buckets);
    for (std::uint32_t n = 0; n < keys; ++n) {
        ++hits[life.table.hash_of(Life<V4>::request(Life<V4>::example(n))) % buckets];
    }
    double chi_squared = 0;
    for (const std::uint32_t hit : hits) chi_squared += (hit - 100.0) * (hit - 100.0) / 100.0;
    // 1023 degrees of freedom: mean 1023, deviation 45; ten deviations is no accident.
    BOOST_TEST(chi_squared < 1473.0);
}

BOOST_AUTO_TEST_SUITE_END()
