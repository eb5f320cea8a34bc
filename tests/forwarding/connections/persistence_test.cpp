#include "forwarding/connections/persistence.hpp"

#include "tests/forwarding/connections/seeded.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::forwarding;
using net::Port;
using net::operator""_ip;

namespace {

constexpr Ticks start = 5000;
constexpr Ticks second = ticks_per_second;

bool any(DestinationId) {
    return true;
}

bool none(DestinationId) {
    return false;
}

Service service(std::uint16_t port, std::uint32_t netmask = ~0U) {
    Service result;
    result.key = ipvs::EndpointKey{6, "10.0.0.1"_ip, Port{port}};
    result.netmask = netmask;
    return result;
}

Service marked(std::uint32_t mark, net::Family family = net::Family::inet) {
    Service result;
    result.key = ipvs::FirewallMarkKey{family, mark};
    return result;
}

struct Fixture {
    Fixture() {
        destinations.ensure(10);
        for (std::uint32_t i = 0; i < 10; ++i) {
            destinations[i].address = net::Ipv4Address{0x0A010000U + i};
        }
    }

    static TemplateKey key(const char* client) {
        return template_key(
            service(80), 6, *net::parse_ip_address(client), "10.0.0.1"_ip, Port{std::uint16_t{80}}
        );
    }

    PersistenceTable::Template create(
        const char* client, std::uint32_t destination, Ticks timeout = 300 * second
    ) {
        const auto made = table->create(
            key(client), {DestinationId{destination}, Port{std::uint16_t{8080}}, timeout}, now
        );
        BOOST_REQUIRE(made.has_value());
        return *made;
    }

    void pass(Ticks ticks) {
        // In the daemon's rhythm.
        for (const Ticks until = now + ticks; now != until;) {
            now += std::min<Ticks>(until - now, second);
            table->expire(now, 1000);
        }
    }

    std::vector<ipvs::ConnectionView> list() {
        std::vector<ipvs::ConnectionView> result;
        std::uint32_t at = 0;
        while (at != PersistenceTable::end) {
            at = table->visit(at, 100, now, [&result](const auto& v) { result.push_back(v); });
        }
        return result;
    }

    std::uint32_t persistent(std::uint32_t destination) {
        return destinations[destination].totals.persistent.load();
    }

    DestinationTable destinations;
    Ticks now = start;
    std::unique_ptr<PersistenceTable> table =
        std::make_unique<PersistenceTable>(destinations, 99, start, 10'000);
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(persistence_test, Fixture)

BOOST_AUTO_TEST_CASE(keys_follow_the_kernels_table) {
    struct Row {
        const char* name;
        Service service;
        const char* client;
        std::uint16_t packet_port;
        std::uint8_t protocol;
        const char* key_client;
        const char* key_virtual;
        std::uint16_t key_port;
    };

    const Row rows[] = {
        {"port of the service", service(80), "192.0.2.7", 80, 6, "192.0.2.7", "10.0.0.1", 80},
        {"FTP control", service(21), "192.0.2.7", 21, 6, "192.0.2.7", "10.0.0.1", 0},
        {"FTP data", service(21), "192.0.2.7", 5000, 6, "192.0.2.7", "10.0.0.1", 0},
        {"any port", service(0), "192.0.2.7", 8080, 6, "192.0.2.7", "10.0.0.1", 0},
        {"netmask 24",
         service(80, net::Be32{0xFFFFFF00U}.wire()),
         "192.0.2.7",
         80,
         6,
         "192.0.2.0",
         "10.0.0.1",
         80},
        {"firewall mark", marked(0x01020304), "192.0.2.7", 80, 0, "192.0.2.7", "1.2.3.4", 0},
        {"firewall mark v6",
         marked(0x01020304, net::Family::inet6),
         "2001:db8::7",
         80,
         0,
         "2001:db8::7",
         "102:304::",
         0},
        {"prefix 64", service(80, 64), "2001:db8::7:7:7:7", 80, 6, "2001:db8::", "10.0.0.1", 80},
    };
    for (const Row& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto key = template_key(
                row.service,
                6,
                *net::parse_ip_address(row.client),
                "10.0.0.1"_ip,
                Port{row.packet_port}
            );
            BOOST_TEST(key.protocol == row.protocol);
            BOOST_TEST(net::print(key.client) == row.key_client);
            BOOST_TEST(net::print(key.virtual_address) == row.key_virtual);
            BOOST_TEST(key.virtual_port.host() == row.key_port);
        }
    }
}

BOOST_AUTO_TEST_CASE(destination_ports_follow_the_kernels_table) {
    const auto port = [](unsigned n) { return Port{static_cast<std::uint16_t>(n)}; };
    BOOST_TEST(template_destination_port(service(80), port(80), port(8080)).host() == 8080);
    BOOST_TEST(template_destination_port(service(21), port(21), port(2121)).host() == 0);
    BOOST_TEST(template_destination_port(service(0), port(80), port(8080)).host() == 0);
    BOOST_TEST(template_destination_port(marked(1), port(80), port(8080)).host() == 0);
    BOOST_TEST(persistent_destination_port(service(80), port(80), port(8080)).host() == 8080);
    BOOST_TEST(persistent_destination_port(service(80), port(80), port(0)).host() == 80);
    BOOST_TEST(persistent_destination_port(service(21), port(21), port(2121)).host() == 2121);
    BOOST_TEST(persistent_destination_port(service(21), port(5000), port(2121)).host() == 5000);
    BOOST_TEST(persistent_destination_port(service(0), port(80), port(8080)).host() == 80);
}

BOOST_AUTO_TEST_CASE(a_client_meets_its_template_again) {
    BOOST_TEST(!table->acquire(key("192.0.2.1"), now, any));
    const auto made = create("192.0.2.1", 3);
    const auto met = table->acquire(key("192.0.2.1"), now, any);
    BOOST_TEST_REQUIRE(met.has_value());
    BOOST_TEST((met->id == made.id));
    BOOST_TEST(met->destination.value == 3U);
    BOOST_TEST(met->destination_port.host() == 8080);
    BOOST_TEST(!table->acquire(key("192.0.2.2"), now, any));
    BOOST_TEST(persistent(3) == 1U);
    BOOST_TEST(table->size() == 1U);
}

BOOST_AUTO_TEST_CASE(the_second_to_create_gets_the_first_ones_template) {
    const auto first = create("192.0.2.1", 3);
    const auto second_one = create("192.0.2.1", 4);
    BOOST_TEST((second_one.id == first.id));
    BOOST_TEST(second_one.destination.value == 3U);
    BOOST_TEST(persistent(4) == 0U);
}

BOOST_AUTO_TEST_CASE(an_idle_template_lives_its_timeout_from_the_last_opening) {
    table->release(create("192.0.2.1", 3).id);
    pass(200 * second);
    table->release(table->acquire(key("192.0.2.1"), now, any)->id);
    pass(300 * second - 1);
    BOOST_TEST(table->size() == 1U);
    pass(1);
    BOOST_TEST(table->size() == 0U);
    BOOST_TEST(persistent(3) == 0U);
    BOOST_TEST(!table->acquire(key("192.0.2.1"), now, any));
}

BOOST_AUTO_TEST_CASE(a_template_that_controls_connections_goes_on_in_steps_of_60_seconds) {
    const auto made = create("192.0.2.1", 3);
    pass(301 * second);
    BOOST_TEST_REQUIRE(list().size() == 1U);
    BOOST_TEST(list()[0].expires == 59U);
    pass(600 * second);
    BOOST_TEST(table->size() == 1U);
    // The timeout stays 60 s for later connections too.
    table->release(table->acquire(key("192.0.2.1"), now, any)->id);
    BOOST_TEST(list()[0].expires == 60U);
    table->release(made.id);
    pass(60 * second);
    BOOST_TEST(table->size() == 0U);
}

BOOST_AUTO_TEST_CASE(an_invalid_template_is_set_aside_and_listed_until_its_timer_ends) {
    const auto old = create("192.0.2.1", 3);
    table->release(old.id);
    pass(100 * second);
    BOOST_TEST(!table->acquire(key("192.0.2.1"), now, none));
    BOOST_TEST(!table->acquire(key("192.0.2.1"), now, any));
    const auto fresh = create("192.0.2.1", 4);
    BOOST_TEST((fresh.id != old.id));
    BOOST_TEST(table->acquire(key("192.0.2.1"), now, any)->destination.value == 4U);
    std::map<std::string, ipvs::ConnectionView> seen;
    for (const auto& view : list()) seen[net::print(view.destination)] = view;
    BOOST_TEST_REQUIRE(seen.size() == 2U);
    const auto& aside = seen.at("10.1.0.3");
    BOOST_TEST(aside.is_template);
    BOOST_TEST(aside.client_port.host() == 0);
    BOOST_TEST(aside.virtual_port.host() == 65535);
    BOOST_TEST(aside.destination_port.host() == 65535);
    BOOST_TEST(aside.expires == 200U);
    BOOST_TEST(seen.at("10.1.0.4").virtual_port.host() == 80);
    BOOST_TEST(persistent(3) == 1U);
    pass(200 * second);
    BOOST_TEST(persistent(3) == 0U);
    BOOST_TEST(table->size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_listed_template_shows_its_state) {
    const auto made = create("192.0.2.1", 3);
    BOOST_TEST(list()[0].state == 0);
    table->assure(made.id);
    const auto view = list().at(0);
    BOOST_TEST(view.state == 1);
    BOOST_TEST(view.is_template);
    BOOST_TEST(view.protocol == 6);
    BOOST_TEST(net::print(view.client) == "192.0.2.1");
    BOOST_TEST(net::print(view.virtual_address) == "10.0.0.1");
    BOOST_TEST(view.virtual_port.host() == 80);
    BOOST_TEST(view.destination_port.host() == 8080);
    BOOST_TEST(view.expires == 300U);
}

BOOST_AUTO_TEST_CASE(a_dropped_connection_takes_only_an_idle_unassured_template_with_it) {
    const auto one = create("192.0.2.1", 3);
    create("192.0.2.1", 3);
    table->release(one.id, PersistenceTable::Release::dropped);
    BOOST_TEST(table->size() == 1U);
    table->release(one.id, PersistenceTable::Release::dropped);
    BOOST_TEST(table->size() == 0U);
    BOOST_TEST(persistent(3) == 0U);
    BOOST_TEST(!table->acquire(key("192.0.2.1"), now, any));

    const auto other = create("192.0.2.2", 3);
    table->assure(other.id);
    table->release(other.id, PersistenceTable::Release::dropped);
    BOOST_TEST(table->size() == 1U);

    const auto plain = create("192.0.2.3", 3);
    table->release(plain.id);
    BOOST_TEST(table->size() == 2U);
}

BOOST_AUTO_TEST_CASE(engine_data_count_besides_the_client) {
    auto first = key("192.0.2.1");
    first.engine = "sip";
    first.engine_data = "call-1@example";
    auto other = first;
    other.engine_data = "call-2@example";
    auto stranger = key("198.51.100.9");
    stranger.engine = "sip";
    stranger.engine_data = "call-1@example";
    const PersistenceTable::Proposal proposal{DestinationId{1}, Port{}, 300 * second};
    const auto made = table->create(first, proposal, now);
    BOOST_TEST_REQUIRE(made.has_value());
    BOOST_TEST((table->acquire(first, now, any)->id == made->id));
    BOOST_TEST(!table->acquire(other, now, any));
    BOOST_TEST(!table->acquire(stranger, now, any));
    BOOST_TEST(!table->acquire(key("192.0.2.1"), now, any));
    BOOST_TEST(list()[0].persistence_engine == "sip");
    BOOST_TEST(list()[0].persistence_data == "call-1@example");
    const std::string too_long(256, 'x');
    other.engine_data = too_long;
    BOOST_TEST(!table->create(other, proposal, now));
}

BOOST_AUTO_TEST_CASE(many_templates_and_reuse_of_their_memory) {
    table->reserve(10'000);
    const std::size_t memory = table->memory();
    for (unsigned round = 0; round < 3; ++round) {
        for (std::uint32_t n = 0; n < 9'000; ++n) {
            auto wanted = key("0.0.0.0");
            wanted.client = net::Ipv4Address{0xC6000000U + n};
            const auto made =
                table->create(wanted, {DestinationId{n % 10}, Port{}, 10 * second}, now);
            BOOST_REQUIRE(made.has_value());
            table->release(made->id);
        }
        BOOST_TEST(table->size() == 9'000U);
        BOOST_TEST(list().size() == 9'000U);
        for (unsigned i = 0; i < 20; ++i) pass(second);
        BOOST_TEST(table->size() == 0U);
    }
    BOOST_TEST(table->memory() == memory);
}

BOOST_AUTO_TEST_CASE(a_full_table_refuses) {
    unsigned made = 0;
    for (std::uint32_t n = 0; n < 20'000; ++n) {
        auto wanted = key("0.0.0.0");
        wanted.client = net::Ipv4Address{n};
        made += table->create(wanted, {DestinationId{1}, Port{}, second}, now).has_value();
    }
    BOOST_TEST(made >= 10'000U);
    BOOST_TEST(made < 20'000U);
    BOOST_TEST(table->size() == made);
    BOOST_TEST(persistent(1) == made);
}

/// Workers open and close connections of the same few clients while control expires and lists.
BOOST_AUTO_TEST_CASE(workers_agree_on_the_destination_of_a_client) {
    constexpr unsigned workers = 4;
    constexpr std::uint32_t clients = 64;
    std::atomic<unsigned> running{workers};
    std::atomic<Ticks> clock{start};
    std::atomic<std::uint32_t> disagreements{0};
    const auto run = [&](unsigned worker) {
        std::mt19937 random{worker};
        const auto steps = nlvs::test::Seeded::cases(20'000);
        for (std::uint64_t i = 0; i < steps; ++i) {
            const Ticks at = clock.load(std::memory_order_relaxed);
            auto wanted = key("0.0.0.0");
            wanted.client = net::Ipv4Address{static_cast<std::uint32_t>(random() % clients)};
            const bool reject = random() % 64 == 0;
            auto met = table->acquire(wanted, at, [reject](DestinationId) { return !reject; });
            if (!met) {
                const DestinationId mine{static_cast<std::uint32_t>(random() % 10)};
                met = table->create(wanted, {mine, Port{}, 2 * second}, at);
                if (!met) continue;
            }
            table->assure(met->id);
            // While a connection counts, the client's template cannot vanish.
            const auto again = table->acquire(wanted, at, any);
            if (again) {
                disagreements += again->id == met->id && again->destination != met->destination;
                table->release(again->id);
            }
            table->release(
                met->id,
                random() % 2 == 0 ? PersistenceTable::Release::expired
                                  : PersistenceTable::Release::dropped
            );
        }
        --running;
    };
    std::vector<std::jthread> threads;
    for (unsigned worker = 0; worker < workers; ++worker) threads.emplace_back(run, worker);
    while (running != 0) {
        ++clock;
        table->expire(clock, 1000);
        table->reserve(1000);
        table->visit(0, ~0U, clock, [](const ipvs::ConnectionView&) {});
        std::this_thread::yield();
    }
    threads.clear();
    BOOST_TEST(disagreements == 0U);
    now = clock;
    pass(1000 * second);
    BOOST_TEST(table->size() == 0U);
    for (std::uint32_t i = 0; i < 10; ++i) BOOST_TEST(persistent(i) == 0U);
}

BOOST_AUTO_TEST_SUITE_END()
