#include "forwarding/config/routing_table.hpp"

#include <atomic>
#include <thread>

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::forwarding;
using net::operator""_ip;
using net::Prefix;

namespace {

std::unique_ptr<const Route> route(std::uint32_t interface) {
    auto result = std::make_unique<Route>();
    result->single.type = NextHop::Type::unicast;
    result->single.interface = interface;
    return result;
}

struct Fixture {
    QuiescentState quiescence;
    Reclaimer reclaimer{quiescence};
    RoutingTable v4{net::Family::inet};
    RoutingTable v6{net::Family::inet6};

    RoutingTable& table(const net::IpAddress& address) { return address.is_v4() ? v4 : v6; }

    void insert(const char* address, unsigned length, std::uint32_t interface) {
        const auto parsed = *net::parse_ip_address(address);
        table(parsed).insert(Prefix{parsed, length}, route(interface), reclaimer);
    }

    bool remove(const char* address, unsigned length) {
        const auto parsed = *net::parse_ip_address(address);
        return table(parsed).remove(Prefix{parsed, length}, reclaimer);
    }

    /// Interface of the route found, 0 if none.
    std::uint32_t lookup(const char* address) {
        const auto parsed = *net::parse_ip_address(address);
        const Route* found = parsed.is_v4() ? v4.lookup(parsed.v4()) : v6.lookup(parsed.v6());
        return found == nullptr ? 0 : found->single.interface;
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(routing_table_test)

BOOST_FIXTURE_TEST_CASE(an_empty_table_finds_nothing, Fixture) {
    BOOST_TEST(lookup("10.0.0.1") == 0U);
    BOOST_TEST(lookup("2001:db8::1") == 0U);
    BOOST_TEST(!remove("0.0.0.0", 0));
    BOOST_TEST(!remove("10.0.0.1", 32));
    BOOST_TEST(v4.size() == 0U);
}

BOOST_FIXTURE_TEST_CASE(the_longest_prefix_wins_at_every_boundary_of_a_level, Fixture) {
    for (unsigned length = 0; length <= 32; ++length)
        insert("10.171.205.239", length, 100 + length);
    BOOST_TEST(v4.size() == 33U);
    for (unsigned length = 33; length-- > 0;) {
        BOOST_TEST_CONTEXT("longest is /" << length) {
            BOOST_TEST(lookup("10.171.205.239") == 100 + length);
            BOOST_TEST(remove("10.171.205.239", length));
            BOOST_TEST(!remove("10.171.205.239", length));
        }
    }
    BOOST_TEST(lookup("10.171.205.239") == 0U);
    BOOST_TEST(v4.size() == 0U);
}

BOOST_FIXTURE_TEST_CASE(all_lengths_of_ipv6, Fixture) {
    for (unsigned length = 0; length <= 128; ++length)
        insert("2001:db8:aaaa:5555::cafe", length, 100 + length);
    for (unsigned length = 129; length-- > 0;) {
        BOOST_TEST_CONTEXT("longest is /" << length) {
            BOOST_TEST(lookup("2001:db8:aaaa:5555::cafe") == 100 + length);
            BOOST_TEST(remove("2001:db8:aaaa:5555::cafe", length));
        }
    }
    BOOST_TEST(v6.size() == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_second_insert_replaces, Fixture) {
    for (const unsigned length : {0U, 8U, 16U, 17U, 24U, 32U}) {
        BOOST_TEST_CONTEXT("/" << length) {
            insert("192.0.2.1", length, 1);
            insert("192.0.2.1", length, 2);
            BOOST_TEST(lookup("192.0.2.1") == 2U);
            BOOST_TEST(v4.size() == 1U);
            BOOST_TEST(remove("192.0.2.1", length));
            BOOST_TEST(lookup("192.0.2.1") == 0U);
        }
    }
}

BOOST_FIXTURE_TEST_CASE(a_short_prefix_does_not_cover_more_specific_ones, Fixture) {
    insert("10.1.0.0", 16, 16);
    insert("10.0.0.0", 8, 8);
    insert("0.0.0.0", 0, 1);
    BOOST_TEST(lookup("10.1.2.3") == 16U);
    BOOST_TEST(lookup("10.2.2.3") == 8U);
    BOOST_TEST(lookup("11.2.2.3") == 1U);
    BOOST_TEST(remove("10.1.0.0", 16));
    BOOST_TEST(lookup("10.1.2.3") == 8U);
    BOOST_TEST(remove("10.0.0.0", 8));
    BOOST_TEST(lookup("10.1.2.3") == 1U);
    BOOST_TEST(remove("0.0.0.0", 0));
    BOOST_TEST(lookup("10.1.2.3") == 0U);
}

BOOST_FIXTURE_TEST_CASE(neighbours_of_a_prefix_are_not_in_it, Fixture) {
    insert("10.0.0.4", 30, 1);
    BOOST_TEST(lookup("10.0.0.3") == 0U);
    BOOST_TEST(lookup("10.0.0.4") == 1U);
    BOOST_TEST(lookup("10.0.0.7") == 1U);
    BOOST_TEST(lookup("10.0.0.8") == 0U);
    insert("255.255.255.255", 32, 2);
    BOOST_TEST(lookup("255.255.255.255") == 2U);
    BOOST_TEST(lookup("255.255.255.254") == 0U);
}

BOOST_FIXTURE_TEST_CASE(a_table_knows_no_address_of_the_other_family, Fixture) {
    insert("0.0.0.0", 0, 1);
    insert("::", 0, 2);
    BOOST_TEST(v4.lookup("::1"_ip.v6()) == nullptr);
    BOOST_TEST(v6.lookup("10.0.0.1"_ip.v4()) == nullptr);
}

BOOST_FIXTURE_TEST_CASE(equal_routes_are_stored_once_and_different_ones_are_not_mixed_up, Fixture) {
    insert("10.1.0.0", 24, 1);
    const auto before = v4.memory();
    insert("10.1.1.0", 24, 1);
    insert("10.1.2.0", 24, 2);
    BOOST_TEST(v4.lookup("10.1.0.1"_ip.v4()) == v4.lookup("10.1.1.1"_ip.v4()));
    BOOST_TEST(v4.lookup("10.1.0.1"_ip.v4()) != v4.lookup("10.1.2.1"_ip.v4()));
    BOOST_TEST(v4.memory() - before < 3 * sizeof(Route));
    BOOST_TEST(remove("10.1.0.0", 24));
    BOOST_TEST(lookup("10.1.1.1") == 1U);
}

BOOST_FIXTURE_TEST_CASE(a_flow_keeps_to_one_of_several_next_hops, Fixture) {
    auto multipath = std::make_unique<Route>();
    for (const std::uint32_t interface : {1U, 1U, 2U}) {
        NextHop hop;
        hop.interface = interface;
        multipath->hops.push_back(hop);
    }
    v4.insert(Prefix{"10.0.0.0"_ip, 8}, std::move(multipath), reclaimer);
    const Route* found = v4.lookup("10.1.2.3"_ip.v4());
    BOOST_TEST_REQUIRE(found != nullptr);
    BOOST_TEST(found->pick(0).interface == 1U);
    BOOST_TEST(found->pick(5).interface == 2U);
    BOOST_TEST(found->pick(0xFFFFFFFF).interface == found->pick(0xFFFFFFFF).interface);
}

BOOST_FIXTURE_TEST_CASE(removing_everything_gives_the_memory_back, Fixture) {
    const auto empty = v6.memory();
    insert("2001:db8::", 32, 1);
    insert("2001:db8:1::", 48, 1);
    insert("2001:db8:1::1", 128, 1);
    BOOST_TEST(v6.memory() > empty);
    BOOST_TEST(remove("2001:db8:1::1", 128));
    BOOST_TEST(lookup("2001:db8:1::1") == 1U);
    BOOST_TEST(remove("2001:db8::", 32));
    BOOST_TEST(remove("2001:db8:1::", 48));
    BOOST_TEST(v6.memory() == empty);
}

BOOST_FIXTURE_TEST_CASE(readers_always_see_one_of_the_routes_while_routes_flap, Fixture) {
    insert("10.0.0.0", 8, 1);
    std::atomic<bool> stop{false};
    std::atomic<std::uint32_t> wrong{0};
    std::atomic<std::uint64_t> lookups{0};
    const auto read = [&](WorkerId worker) {
        quiescence.register_worker(worker);
        while (!stop.load(std::memory_order_relaxed)) {
            for (std::uint32_t i = 0; i < 256; ++i) {
                const Route* found = v4.lookup(net::Ipv4Address{0x0A000000U + (i << 8) + i});
                const auto interface = found == nullptr ? 0 : found->single.interface;
                const bool known = interface == 1 || (interface >= 10 && interface < 26);
                if (!known) wrong.fetch_add(1, std::memory_order_relaxed);
            }
            lookups.fetch_add(256, std::memory_order_relaxed);
            quiescence.report(worker);
        }
        quiescence.unregister_worker(worker);
    };
    std::thread first{read, WorkerId{0}};
    std::thread second{read, WorkerId{1}};
    while (lookups.load(std::memory_order_relaxed) < 2000) std::this_thread::yield();
    for (std::uint32_t round = 0; round < 60; ++round) {
        for (std::uint32_t i = 0; i < 64; ++i) {
            const net::IpAddress address = net::Ipv4Address{0x0A000000U + (i * 4 << 8) + i};
            const unsigned length = 16 + (i + round) % 17;
            v4.insert(Prefix{address, length}, route(10 + (round + i) % 16), reclaimer);
            if (round % 2 == 1) v4.remove(Prefix{address, length}, reclaimer);
        }
        reclaimer.collect();
    }
    stop = true;
    first.join();
    second.join();
    BOOST_TEST(wrong.load() == 0U);
    reclaimer.collect();
    BOOST_TEST(reclaimer.pending() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
