// What workers announce and take in, with packets through the whole pipeline.

#include <boost/test/unit_test.hpp>

#include <array>
#include <vector>

#include "compat/net/ip_address.hpp"
#include "forwarding/connections/connection_list.hpp"
#include "forwarding/sync/sync_taker.hpp"
#include "tests/support/director.hpp"

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

constexpr std::uint8_t tcp_number = 6;
constexpr std::uint8_t udp_number = 17;
const auto client = "10.0.0.100"_ip;
const auto vip = "203.0.113.10"_ip;
const auto server = "192.168.1.2"_ip;
const auto other_server = "192.168.1.3"_ip;
const auto client6 = "2001:db8::100"_ip;
const auto vip6 = "2001:db8::10"_ip;
const auto server6 = "2001:db8:1::2"_ip;

/// A director that announces, with a service of both families and one server each.
struct Pair : EalFixture {
    explicit Pair(
        std::uint16_t workers = 1, ForwardingMethod method = ForwardingMethod::masquerade,
        bool persistent = false
    )
        : director{workers} {
        settings = make_settings({}, {});
        settings.sync_master = true;
        director.publish(settings);
        for (const std::uint8_t protocol : {tcp_number, udp_number}) {
            for (const auto& [address, real] : {std::pair{vip, server}, std::pair{vip6, server6}}) {
                director.add_local(address);
                Service service = director.service(protocol, address, 80);
                if (persistent) {
                    service.flags = ipvs::ServiceFlags{ipvs::ServiceFlags::persistent};
                    service.persistence_timeout = 100 * ticks_per_second;
                    service.netmask = address.is_v4() ? ~0U : 128;
                }
                slots.push_back(&director.add_destination(service, real, 8080, method));
                ids.push_back(service.destinations.back().id);
                director.publish(std::move(service));
            }
        }
    }

    std::vector<SyncAnnouncement> announced(WorkerId id = 0) {
        std::vector<SyncAnnouncement> result(64);
        result.resize(director.state(id).mailbox.announced(result));
        return result;
    }

    void request(const Bytes& frame, int times = 1) {
        for (int i = 0; i < times; ++i) director.receive(frame);
    }

    void change(ipvs::Sysctls sysctls) {
        settings.sysctls = sysctls;
        director.publish(settings);
    }

    void take(const SyncedConnection& synced, WorkerId id = 0) {
        WorkerRequest request;
        request.kind = WorkerRequest::Kind::take_connections;
        request.synced = {synced};
        SyncTaker{director.shared(), director.state(id)}.take(request, director.ticks());
    }

    std::vector<ipvs::ConnectionView> listed(WorkerId id = 0) {
        auto& state = director.state(id);
        WorkerRequest request;
        request.limit = 1U << 20;
        while (request.cursor != WorkerRequest::end) {
            list_connections(
                director.configuration(), state.connections_v4, state.connections_v6,
                director.ticks(), request
            );
        }
        return request.connections;
    }

    Settings settings;
    Director director;
    std::vector<DestinationSlot*> slots;
    std::vector<DestinationId> ids;
};

Bytes syn() { return (ipv4(client, vip) / tcp(40000, 80).syn()).frame(); }

Bytes ack(std::uint8_t ttl = 64) {
    return (ipv4(client, vip).ttl(ttl) / tcp(40000, 80).ack()).frame();
}

Bytes fin() { return (ipv4(client, vip) / tcp(40000, 80).fin().ack()).frame(); }

Bytes answer() { return (ipv4(server, client) / tcp(8080, 40000).ack()).frame(); }

/// An established connection of another director.
SyncedConnection news(const Pair& pair) {
    SyncedConnection synced;
    synced.client = client;
    synced.virtual_address = vip;
    synced.destination = server;
    synced.client_port = net::Port{std::uint16_t{40000}};
    synced.virtual_port = net::Port{std::uint16_t{80}};
    synced.destination_port = net::Port{std::uint16_t{8080}};
    synced.protocol = tcp_number;
    synced.state = 1;
    synced.destination_id = pair.ids[0];
    synced.timeout = 700 * ticks_per_second;
    return synced;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sync_test)

BOOST_AUTO_TEST_CASE(the_third_packet_of_a_client_announces_its_connection) {
    Pair pair;
    pair.request(syn());
    pair.request(answer());
    pair.request(ack());
    BOOST_TEST(pair.announced().empty());
    pair.request(ack());
    const auto announced = pair.announced();
    BOOST_TEST_REQUIRE(announced.size() == 1U);
    const SyncAnnouncement& one = announced[0];
    BOOST_TEST((one.client == client));
    BOOST_TEST((one.virtual_address == vip));
    BOOST_TEST(one.client_port.host() == 40000);
    BOOST_TEST(one.virtual_port.host() == 80);
    BOOST_TEST(one.destination_port.host() == 8080);
    BOOST_TEST((one.destination == pair.ids[0]));
    BOOST_TEST(one.protocol == tcp_number);
    BOOST_TEST(one.state == 1);
    BOOST_TEST(one.flags == 0);
    BOOST_TEST(one.timeout == 900 * ticks_per_second);
    BOOST_TEST(one.persistence_template.is_none());
}

BOOST_AUTO_TEST_CASE(nothing_is_announced_while_no_master_runs) {
    Pair pair;
    pair.settings.sync_master = false;
    pair.change({});
    pair.request(syn());
    pair.request(ack(), 60);
    BOOST_TEST(pair.announced().empty());
}

BOOST_AUTO_TEST_CASE(an_end_is_announced_once) {
    Pair pair;
    pair.request(syn());
    pair.request(ack(), 3);
    pair.announced();
    pair.request(fin(), 3);
    const auto announced = pair.announced();
    BOOST_TEST_REQUIRE(announced.size() == 1U);
    BOOST_TEST(announced[0].state == 7);
    BOOST_TEST(announced[0].flags == ConnectionFlags::inactive);
}

BOOST_AUTO_TEST_CASE(direct_routing_and_ipv6) {
    Pair pair{1, ForwardingMethod::direct_route};
    pair.request((ipv6(client6, vip6) / udp(40000, 80) / payload(10)).frame(), 3);
    const auto announced = pair.announced();
    BOOST_TEST_REQUIRE(announced.size() == 1U);
    BOOST_TEST((announced[0].client == client6));
    BOOST_TEST(
        announced[0].flags == (3 | ConnectionFlags::no_output | ConnectionFlags::inactive)
    );
    ipvs::Sysctls old_version;
    old_version.sync_version = 0;
    pair.change(old_version);
    pair.request((ipv6(client6, vip6) / udp(40001, 80) / payload(10)).frame(), 3);
    BOOST_TEST(pair.announced().empty());
}

BOOST_AUTO_TEST_CASE(templates_are_announced_with_their_connections_once_a_second) {
    Pair pair{1, ForwardingMethod::masquerade, true};
    pair.request(syn());
    pair.request(ack(), 2);
    const auto announced = pair.announced();
    BOOST_TEST_REQUIRE(announced.size() == 2U);
    BOOST_TEST(!announced[0].persistence_template.is_none());
    BOOST_TEST(announced[1].persistence_template.is_none());
    pair.director.advance(1);
    pair.request(ack(), 5);
    BOOST_TEST(pair.announced().size() == 1U);
    const auto told = pair.director.templates().synced(announced[0].persistence_template);
    BOOST_TEST_REQUIRE(told.has_value());
    BOOST_TEST((told->view.client == client));
    BOOST_TEST((told->destination == pair.ids[0]));
    BOOST_TEST(told->timeout == 100 * ticks_per_second);
}

BOOST_AUTO_TEST_CASE(without_period_a_template_is_announced_at_the_threshold_only) {
    Pair pair{1, ForwardingMethod::masquerade, true};
    ipvs::Sysctls sysctls;
    sysctls.sync_period = 0;
    sysctls.sync_persist_mode = 1;
    pair.change(sysctls);
    pair.request(syn());
    pair.request(ack());
    BOOST_TEST(pair.announced().empty());
    pair.request(ack(), 20);
    BOOST_TEST(pair.announced().size() == 1U);
}

BOOST_AUTO_TEST_CASE(what_control_is_too_slow_for_is_counted) {
    Pair pair;
    ipvs::Sysctls sysctls;
    sysctls.sync_threshold = 0;
    sysctls.sync_period = 1;
    pair.change(sysctls);
    pair.request(syn());
    constexpr unsigned more = 100;
    // A ring keeps one slot free.
    constexpr unsigned room = 2 * Mailbox::announcements_at_once - 1;
    pair.request(ack(), room + more);
    BOOST_TEST(pair.director.counters().sync_announced.read() == room);
    BOOST_TEST(pair.director.counters().sync_lost.read() == more);
}

BOOST_AUTO_TEST_CASE(a_connection_of_another_director_goes_on_here) {
    Pair pair;
    pair.take(news(pair));
    const auto listed = pair.listed();
    BOOST_TEST_REQUIRE(listed.size() == 1U);
    BOOST_TEST(listed[0].synced);
    BOOST_TEST(listed[0].expires == 700U);
    BOOST_TEST(pair.slots[0]->totals.connections == 1U);
    BOOST_TEST(pair.slots[0]->totals.active == 1U);
    const auto sent = pair.director.receive(ack());
    BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
    BOOST_TEST(
        (sent.frames[0] == (ipv4(client, server).ttl(63) / tcp(40000, 8080).ack()).frame())
    );
    BOOST_TEST(pair.director.receive(answer()).frames.size() == 1U);
    // Linux: the connection itself is not one that was scheduled here.
    BOOST_TEST(pair.director.counters().destinations[0].connections.read() == 0U);
}

BOOST_AUTO_TEST_CASE(what_a_one_packet_destination_would_forget_is_not_taken) {
    Pair pair;
    pair.slots[0]->one_packet = true;
    auto synced = news(pair);
    synced.protocol = 17;
    pair.take(synced);
    BOOST_TEST(pair.listed().empty());
    BOOST_TEST(pair.slots[0]->totals.connections == 0U);
    pair.take(news(pair));
    BOOST_TEST(pair.listed().size() == 1U);
}

BOOST_AUTO_TEST_CASE(without_timeout_the_state_says_how_long) {
    Pair pair;
    auto synced = news(pair);
    synced.timeout = 0;
    pair.take(synced);
    BOOST_TEST(pair.listed()[0].expires == 900U);
}

BOOST_AUTO_TEST_CASE(later_news_update_what_is_here) {
    Pair pair;
    pair.take(news(pair));
    auto ended = news(pair);
    ended.state = 5;
    ended.timeout = 20 * ticks_per_second;
    ended.flags = ConnectionFlags::inactive;
    pair.take(ended);
    const auto listed = pair.listed();
    BOOST_TEST_REQUIRE(listed.size() == 1U);
    BOOST_TEST(listed[0].state == 5);
    BOOST_TEST(listed[0].expires == 20U);
    BOOST_TEST(pair.slots[0]->totals.connections == 1U);
    BOOST_TEST(pair.slots[0]->totals.active == 0U);
    pair.director.advance(21);
    BOOST_TEST(pair.director.connections() == 0U);
    BOOST_TEST(pair.slots[0]->totals.connections == 0U);
}

BOOST_AUTO_TEST_CASE(the_method_is_the_local_destinations) {
    Pair pair{1, ForwardingMethod::direct_route};
    auto synced = news(pair);
    synced.flags = 2;
    pair.take(synced);
    const auto sent = pair.director.receive(ack());
    BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
    BOOST_TEST((sent.frames[0] == ack(63)));
}

BOOST_AUTO_TEST_CASE(a_connection_to_another_server_replaces_this_one_unless_it_has_ended) {
    Pair pair;
    pair.take(news(pair));
    Service service = pair.director.service(tcp_number, "203.0.113.11"_ip, 80);
    pair.director.add_destination(service, other_server, 8080);
    auto moved = news(pair);
    moved.destination = other_server;
    moved.destination_id = service.destinations.back().id;
    moved.flags = ConnectionFlags::inactive;
    pair.take(moved);
    BOOST_TEST((pair.listed()[0].destination == server));
    moved.flags = 0;
    pair.take(moved);
    const auto listed = pair.listed();
    BOOST_TEST_REQUIRE(listed.size() == 1U);
    BOOST_TEST((listed[0].destination == other_server));
    BOOST_TEST(pair.slots[0]->totals.connections == 0U);
}

BOOST_AUTO_TEST_CASE(an_unbound_connection_is_bound_by_later_news) {
    Pair pair{1, ForwardingMethod::direct_route};
    // Stands in for the server, by another method.
    Service nobody = pair.director.service(tcp_number, "203.0.113.11"_ip, 80);
    DestinationSlot& stand_in = pair.director.add_destination(nobody, server, 8080);
    stand_in.unbound = true;
    auto synced = news(pair);
    synced.destination_id = nobody.destinations.back().id;
    pair.take(synced);
    BOOST_TEST(pair.director.receive(ack()).frames.size() == 1U);
    BOOST_TEST(stand_in.totals.connections == 1U);
    pair.take(news(pair));
    BOOST_TEST(stand_in.totals.connections == 0U);
    BOOST_TEST(pair.slots[0]->totals.connections == 1U);
    BOOST_TEST((pair.director.receive(ack()).frames.at(0) == ack(63)));
}

BOOST_AUTO_TEST_CASE(packets_find_the_worker_that_took_their_connection) {
    Pair pair{2, ForwardingMethod::direct_route};
    pair.director.configuration().takes_synced = true;
    const auto owner = pair.director.shared().steering.owner(
        client.v4(), net::Port{std::uint16_t{40000}}
    );
    pair.take(news(pair), owner);
    for (const WorkerId receiver : {WorkerId{0}, WorkerId{1}}) {
        BOOST_TEST(pair.director.receive(ack(), receiver).frames.size() == 1U);
    }
}

BOOST_AUTO_TEST_CASE(templates_of_another_director_decide_here) {
    Pair pair{1, ForwardingMethod::masquerade, true};
    const TemplateKey key{tcp_number, client, vip, net::Port{std::uint16_t{80}}, {}, {}};
    const PersistenceTable::Proposal proposal{
        pair.ids[0], net::Port{std::uint16_t{8080}}, 50 * ticks_per_second, false
    };
    auto& templates = pair.director.templates();
    BOOST_TEST(templates.take(key, proposal, 1, pair.director.ticks()));
    BOOST_TEST(templates.take(key, proposal, 1, pair.director.ticks()));
    BOOST_TEST(templates.size() == 1U);
    BOOST_TEST(pair.slots[0]->totals.persistent == 1U);
    std::vector<ipvs::ConnectionView> listed;
    templates.visit(0, 1U << 20, pair.director.ticks(), [&](const ipvs::ConnectionView& view) {
        listed.push_back(view);
    });
    BOOST_TEST_REQUIRE(listed.size() == 1U);
    BOOST_TEST(listed[0].synced);
    BOOST_TEST(listed[0].state == 1);
    BOOST_TEST(listed[0].expires == 50U);
    pair.request(syn());
    BOOST_TEST(templates.size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_template_is_bound_by_later_news) {
    Pair pair{1, ForwardingMethod::masquerade, true};
    const TemplateKey key{tcp_number, client, vip, net::Port{std::uint16_t{80}}, {}, {}};
    auto& templates = pair.director.templates();
    pair.slots[2]->unbound = true;
    const auto take = [&](DestinationId id) {
        templates.take(key, {id, {}, 50 * ticks_per_second, false}, 0, pair.director.ticks());
    };
    take(pair.ids[2]);
    BOOST_TEST(pair.slots[2]->totals.persistent == 1U);
    take(pair.ids[0]);
    BOOST_TEST(pair.slots[2]->totals.persistent == 0U);
    BOOST_TEST(pair.slots[0]->totals.persistent == 1U);
    // Bound, it keeps its destination. Linux: ip_vs_proc_conn.
    take(pair.ids[1]);
    BOOST_TEST(pair.slots[0]->totals.persistent == 1U);
}

BOOST_AUTO_TEST_CASE(a_backup_that_is_backup_only_balances_nothing) {
    Pair pair;
    pair.settings.passive = true;
    pair.change({});
    const auto sent = pair.director.receive(syn());
    BOOST_TEST(sent.frames.empty());
    BOOST_TEST(sent.punted.size() == 1U);
    BOOST_TEST(pair.director.connections() == 0U);
}

BOOST_AUTO_TEST_CASE(a_refresh_period_is_kept_beside_the_table) {
    Pair pair;
    ipvs::Sysctls sysctls;
    sysctls.sync_threshold = 0;
    sysctls.sync_period = 0;
    sysctls.sync_refresh_period = 30;
    pair.change(sysctls);
    pair.director.state().sync_ends.reserve(1024, 1024);
    pair.request(syn());
    pair.request(ack(), 100);
    BOOST_TEST(pair.announced().size() == 1U);
    pair.director.advance(31);
    pair.request(ack(), 100);
    BOOST_TEST(pair.announced().size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
