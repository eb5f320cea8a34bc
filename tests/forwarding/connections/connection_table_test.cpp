#include "forwarding/connections/connection_table.hpp"

#include "forwarding/connections/connection_list.hpp"

#include <set>
#include <thread>

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::forwarding;
using net::operator""_ip;
using net::Port;

namespace {

constexpr Ticks start = 1000;

struct Fixture {
    Connection<V4>* open(
        std::uint16_t client_port, ForwardingMethod method = ForwardingMethod::masquerade
    ) {
        Connection<V4>* entry = table.allocate();
        BOOST_REQUIRE(entry != nullptr);
        entry->client = "192.0.2.1"_ip.v4();
        entry->virtual_address = "10.0.0.1"_ip.v4();
        entry->destination = "10.1.0.1"_ip.v4();
        entry->client_port = Port{client_port};
        entry->virtual_port = Port{std::uint16_t{80}};
        entry->destination_port = Port{std::uint16_t{8080}};
        entry->protocol = 6;
        entry->flags = static_cast<std::uint16_t>(method);
        entry->last_seen = start;
        entry->timeout = 80;
        table.insert(entry);
        return entry;
    }

    static FlowKey<V4> flow(
        const char* source, std::uint16_t source_port, const char* to, std::uint16_t to_port
    ) {
        return {
            net::parse_ip_address(source)->v4(),
            net::parse_ip_address(to)->v4(),
            Port{source_port},
            Port{to_port},
            6};
    }

    ConnectionTable<V4> table{100, 42, start};
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(connection_table_test, Fixture)

BOOST_AUTO_TEST_CASE(a_masqueraded_connection_answers_from_its_destination) {
    const auto* entry = open(1024);
    const auto request = table.find(flow("192.0.2.1", 1024, "10.0.0.1", 80));
    BOOST_TEST(request.connection == entry);
    BOOST_TEST((request.direction == Direction::request));
    const auto reply = table.find(flow("10.1.0.1", 8080, "192.0.2.1", 1024));
    BOOST_TEST(reply.connection == entry);
    BOOST_TEST((reply.direction == Direction::reply));
    BOOST_TEST(reply.index == request.index);
    BOOST_TEST(!table.find(flow("10.0.0.1", 80, "192.0.2.1", 1024)));
}

BOOST_AUTO_TEST_CASE(every_other_method_answers_from_the_virtual_address) {
    const auto* entry = open(1024, ForwardingMethod::direct_route);
    const auto reply = table.find(flow("10.0.0.1", 80, "192.0.2.1", 1024));
    BOOST_TEST(reply.connection == entry);
    BOOST_TEST((reply.direction == Direction::reply));
    BOOST_TEST(!table.find(flow("10.1.0.1", 8080, "192.0.2.1", 1024)));
}

BOOST_AUTO_TEST_CASE(all_five_parts_of_the_key_matter) {
    open(1024);
    auto key = flow("192.0.2.1", 1024, "10.0.0.1", 80);
    BOOST_TEST(bool(table.find(key)));
    key.protocol = 17;
    BOOST_TEST(!table.find(key));
    BOOST_TEST(!table.find(flow("192.0.2.2", 1024, "10.0.0.1", 80)));
    BOOST_TEST(!table.find(flow("192.0.2.1", 1025, "10.0.0.1", 80)));
    BOOST_TEST(!table.find(flow("192.0.2.1", 1024, "10.0.0.2", 80)));
    BOOST_TEST(!table.find(flow("192.0.2.1", 1024, "10.0.0.1", 81)));
    BOOST_TEST(!table.find(flow("192.0.2.1", 1024, "10.0.0.1", 80).inverted()));
}

BOOST_AUTO_TEST_CASE(an_allocated_entry_is_found_only_after_insertion) {
    auto* entry = table.allocate();
    BOOST_TEST(entry->destination_id.is_none());
    BOOST_TEST(entry->persistence_template == TemplateId::none().value);
    entry->client = "192.0.2.9"_ip.v4();
    BOOST_TEST(table.visit(0, 1000, [](const auto&) { BOOST_TEST(false); }) == no_connection);
    table.release(entry);
    BOOST_TEST(table.size() == 0U);
}

BOOST_AUTO_TEST_CASE(the_table_holds_its_maximum_and_no_more) {
    for (std::uint16_t port = 1; port <= 100; ++port) open(port);
    BOOST_TEST(table.allocate() == nullptr);
    table.remove(table.find(flow("192.0.2.1", 50, "10.0.0.1", 80)).connection);
    BOOST_TEST(table.size() == 99U);
    BOOST_TEST(!table.find(flow("192.0.2.1", 50, "10.0.0.1", 80)));
    BOOST_TEST(!table.find(flow("10.1.0.1", 8080, "192.0.2.1", 50)));
    BOOST_TEST(table.allocate() != nullptr);
}

BOOST_AUTO_TEST_CASE(many_entries_may_be_allocated_before_the_first_is_inserted) {
    std::set<Connection<V4>*> entries;
    for (unsigned i = 0; i < 100; ++i) entries.insert(table.allocate());
    BOOST_TEST(entries.size() == 100U);
    BOOST_TEST(!entries.contains(nullptr));
}

BOOST_AUTO_TEST_CASE(an_overdue_connection_is_removed_with_both_directions) {
    open(1024);
    unsigned fired = 0;
    const auto fire = [&fired](Connection<V4>& entry) {
        BOOST_TEST(entry.client_port.host() == 1024);
        return ++fired != 0;
    };
    table.expire(start + 79, 100, fire);
    BOOST_TEST(fired == 0U);
    table.expire(start + 80, 100, fire);
    BOOST_TEST(fired == 1U);
    BOOST_TEST(table.size() == 0U);
    BOOST_TEST(!table.find(flow("192.0.2.1", 1024, "10.0.0.1", 80)));
    BOOST_TEST(!table.find(flow("10.1.0.1", 8080, "192.0.2.1", 1024)));
}

BOOST_AUTO_TEST_CASE(expiry_may_keep_a_connection) {
    open(1024);
    table.expire(start + 80, 100, [](Connection<V4>& entry) {
        entry.last_seen = start + 80;
        entry.timeout = 480;
        return false;
    });
    BOOST_TEST(bool(table.find(flow("192.0.2.1", 1024, "10.0.0.1", 80))));
    table.expire(start + 560, 100, [](Connection<V4>&) { return true; });
    BOOST_TEST(table.size() == 0U);
}

BOOST_AUTO_TEST_CASE(expiry_may_remove_other_connections_and_open_new_ones) {
    for (std::uint16_t port = 1; port <= 10; ++port) open(port);
    table.expire(start + 80, 100, [this](Connection<V4>& entry) {
        const auto port = entry.client_port.host();
        if (port > 10) return false;
        const auto other = static_cast<std::uint16_t>(port % 2 == 0 ? port - 1 : port + 1);
        if (auto found = table.find(flow("192.0.2.1", other, "10.0.0.1", 80))) {
            table.remove(found.connection);
            open(static_cast<std::uint16_t>(port + 100))->last_seen = start + 80;
        }
        return true;
    });
    BOOST_TEST(table.size() == 5U);
}

BOOST_AUTO_TEST_CASE(a_visit_in_pieces_shows_each_connection_once) {
    for (std::uint16_t port = 1; port <= 50; ++port) open(port);
    std::multiset<std::uint16_t> seen;
    ConnectionIndex at = 0;
    while (at != no_connection) {
        at = table.visit(at, 7, [&seen](const auto& entry) {
            seen.insert(entry.client_port.host());
        });
        // What comes and goes meanwhile does not disturb what stays.
        if (auto found = table.find(flow("192.0.2.1", 3, "10.0.0.1", 80))) {
            table.remove(found.connection);
            open(1000);
        }
    }
    for (std::uint16_t port = 1; port <= 50; ++port) {
        if (port != 3) BOOST_TEST(seen.count(port) == 1U);
    }
}

BOOST_AUTO_TEST_CASE(a_listing_shows_whole_seconds_and_the_destinations_own_address) {
    Configuration configuration;
    configuration.destinations.ensure(7);
    configuration.destinations[7].address = "2001:db8::7"_ip;
    auto* entry = open(1024);
    entry->state = 1;
    entry->timeout = 900 * ticks_per_second;
    entry->flags |= ConnectionFlags::synced;
    const auto plain = view_of(*entry, configuration.destinations, start + 1);
    BOOST_TEST(net::print(plain.destination) == "10.1.0.1");
    entry->destination_id = DestinationId{7};
    const auto view = view_of(*entry, configuration.destinations, start + 1);
    BOOST_TEST(view.protocol == 6);
    BOOST_TEST(net::print(view.client) == "192.0.2.1");
    BOOST_TEST(view.client_port.host() == 1024);
    BOOST_TEST(net::print(view.virtual_address) == "10.0.0.1");
    BOOST_TEST(view.virtual_port.host() == 80);
    BOOST_TEST(net::print(view.destination) == "2001:db8::7");
    BOOST_TEST(view.destination_port.host() == 8080);
    BOOST_TEST(view.state == 1);
    BOOST_TEST(view.synced);
    BOOST_TEST(!view.is_template);
    BOOST_TEST(view.expires == 899U);
    BOOST_TEST(view_of(*entry, configuration.destinations, start + 90000).expires == 0U);
}

BOOST_AUTO_TEST_CASE(a_listing_goes_through_both_families) {
    Configuration configuration;
    ConnectionTable<V6> other{10, 1, start};
    for (std::uint16_t port = 1; port <= 20; ++port) open(port);
    for (std::uint16_t port = 1; port <= 5; ++port) {
        auto* entry = other.allocate();
        entry->client_port = Port{port};
        entry->timeout = 8;
        other.insert(entry);
    }
    std::size_t v4 = 0;
    std::size_t v6 = 0;
    WorkerRequest request;
    while (request.cursor != WorkerRequest::end) {
        request.limit = 3;
        request.connections.clear();
        list_connections(configuration, table, other, start, request);
        BOOST_REQUIRE(request.connections.size() <= 3U);
        for (const auto& view : request.connections) (view.client.is_v4() ? v4 : v6) += 1;
    }
    BOOST_TEST(v4 == 20U);
    BOOST_TEST(v6 == 5U);
}

BOOST_AUTO_TEST_SUITE_END()
