#include "daemon/publisher.hpp"

#include <boost/test/unit_test.hpp>

#include <chrono>

#include "tests/daemon/control_fixture.hpp"

namespace nlvs::daemon {
namespace {

using namespace std::chrono_literals;

struct Fixture : ControlFixture {
    ipvs::ServiceKey web = tcp_service("10.0.0.1", 80);
    DestinationTrash::Clock::time_point now{};

    void add_web() { BOOST_TEST_REQUIRE(control.add_service(web, scheduled_by("wrr")).has_value()); }

    void add(const ipvs::DestinationSpec& spec) {
        BOOST_TEST_REQUIRE(control.add_destination(web, spec).has_value());
    }

    forwarding::DestinationId only_destination() {
        const forwarding::Service* node = published(web);
        BOOST_TEST_REQUIRE(node != nullptr);
        BOOST_TEST_REQUIRE(node->destinations.size() == 1U);
        return node->destinations[0].id;
    }

    void remove(const ipvs::DestinationSpec& spec) {
        BOOST_TEST_REQUIRE(control.remove_destination(web, spec.key).has_value());
    }

    void pass_the_trash() {
        for (int i = 0; i < 3; ++i) control.scan_trash(now += 60s);
        reclaimer.collect();
    }

    std::uint32_t services_of_real_server(const ipvs::DestinationSpec& spec) const {
        const auto* server =
            configuration->real_servers.find({6, spec.key.address, spec.key.port});
        return server != nullptr ? server->services : 0;
    }
};

BOOST_FIXTURE_TEST_SUITE(publisher_test, Fixture)

BOOST_AUTO_TEST_CASE(a_service_is_visible_with_everything_workers_need) {
    auto spec = scheduled_by("wrr");
    spec.flags.word = ipvs::ServiceFlags::persistent;
    spec.timeout = 300;
    BOOST_TEST_REQUIRE(control.add_service(web, spec).has_value());
    auto first = masqueraded("10.0.0.11", 8080);
    first.weight = 3;
    add(first);
    auto second = masqueraded("10.0.0.12", 8080);
    second.forwarding = 3;
    add(second);
    const forwarding::Service* node = published(web);
    BOOST_TEST_REQUIRE(node != nullptr);
    BOOST_TEST((node->scheduler == forwarding::SchedulerKind::wrr));
    BOOST_TEST(node->flags.word == 3U);
    BOOST_TEST(node->persistence_timeout == 300 * forwarding::ticks_per_second);
    BOOST_TEST_REQUIRE(node->destinations.size() == 2U);
    BOOST_TEST((node->destinations[0].address == second.key.address));
    BOOST_TEST((node->destinations[1].address == first.key.address));
    BOOST_TEST((node->destinations[1].method == forwarding::ForwardingMethod::masquerade));
    BOOST_TEST(node->destinations[1].weight == 3);
    const auto& slot = *node->destinations[1].slot;
    BOOST_TEST(slot.available.load());
    BOOST_TEST(slot.weight.load() == 3);
    BOOST_TEST((slot.address == first.key.address));
    BOOST_TEST((slot.port == first.key.port));
    BOOST_TEST(tracker.tracked.size() == 2U);
}

BOOST_AUTO_TEST_CASE(a_longer_persistence_than_jiffies_can_tell_wraps) {
    auto spec = scheduled_by("rr");
    spec.timeout = ~0U;
    BOOST_TEST_REQUIRE(control.add_service(web, spec).has_value());
    BOOST_TEST(published(web)->persistence_timeout == 17179868U * forwarding::ticks_per_second);
}

BOOST_AUTO_TEST_CASE(counters_and_scheduler_state_exist_before_the_node) {
    add_web();
    add(masqueraded("10.0.0.11"));
    const auto id = only_destination();
    for (const auto& worker : workers) {
        BOOST_TEST((worker->counters.destinations[id.value].read() == ipvs::Totals{}));
        BOOST_TEST(worker->schedulers[published(web)->id.value].version == 0U);
    }
}

BOOST_AUTO_TEST_CASE(a_deleted_destination_keeps_its_slot_while_connections_refer_to_it) {
    add_web();
    const auto spec = masqueraded("10.0.0.11");
    add(spec);
    const auto id = only_destination();
    slot(id).totals.bind();
    remove(spec);
    BOOST_TEST(!slot(id).available.load());
    BOOST_TEST(tracker.tracked.empty());
    pass_the_trash();
    BOOST_TEST(control.destinations_in_use() == 1U);
    slot(id).totals.unbind(false);
    pass_the_trash();
    BOOST_TEST(control.destinations_in_use() == 0U);
}

BOOST_AUTO_TEST_CASE(a_template_holds_the_slot_too) {
    add_web();
    const auto spec = masqueraded("10.0.0.11");
    add(spec);
    slot(only_destination()).totals.persistent.fetch_add(1);
    remove(spec);
    pass_the_trash();
    BOOST_TEST(control.destinations_in_use() == 1U);
}

BOOST_AUTO_TEST_CASE(a_re_added_destination_gets_its_slot_and_connections_back) {
    add_web();
    auto spec = masqueraded("10.0.0.11");
    add(spec);
    const auto id = only_destination();
    slot(id).totals.bind();
    remove(spec);
    spec.weight = 7;
    add(spec);
    BOOST_TEST((only_destination() == id));
    BOOST_TEST(slot(id).available.load());
    BOOST_TEST(slot(id).weight.load() == 7);
    BOOST_TEST(slot(id).totals.connections.load() == 1U);
    BOOST_TEST(tracker.tracked.contains(id.value));
}

BOOST_AUTO_TEST_CASE(a_free_slot_is_reused_for_another_destination) {
    add_web();
    const auto first = masqueraded("10.0.0.11");
    add(first);
    const auto id = only_destination();
    remove(first);
    pass_the_trash();
    const auto second = masqueraded("10.0.0.12", 81);
    add(second);
    BOOST_TEST((only_destination() == id));
    BOOST_TEST((slot(id).address == second.key.address));
    BOOST_TEST((slot(id).port == second.key.port));
}

BOOST_AUTO_TEST_CASE(a_slot_is_not_reused_while_a_worker_may_still_see_it) {
    quiescence.register_worker(0);
    add_web();
    const auto spec = masqueraded("10.0.0.11");
    add(spec);
    remove(spec);
    pass_the_trash();
    BOOST_TEST(control.destinations_in_use() == 1U);
    quiescence.report(0);
    reclaimer.collect();
    BOOST_TEST(control.destinations_in_use() == 0U);
    quiescence.unregister_worker(0);
}

BOOST_AUTO_TEST_CASE(a_removed_service_takes_its_destinations_out_of_use) {
    add_web();
    add(masqueraded("10.0.0.11"));
    const auto id = only_destination();
    BOOST_TEST_REQUIRE(control.remove_service(web).has_value());
    BOOST_TEST((published(web) == nullptr));
    BOOST_TEST(!slot(id).available.load());
    BOOST_TEST(configuration->services_v4.load() == 0U);
    BOOST_TEST(configuration->real_servers.size() == 0U);
}

BOOST_AUTO_TEST_CASE(servers_of_a_service_with_a_persistence_engine_may_call) {
    const ipvs::ServiceKey sip = ipvs::EndpointKey{17, *net::parse_ip_address("10.0.0.1"), port_of(5060)};
    auto spec = scheduled_by("rr");
    spec.flags.word = ipvs::ServiceFlags::persistent;
    BOOST_TEST_REQUIRE(control.add_service(sip, spec).has_value());
    const auto server = masqueraded("10.0.0.11", 5060);
    BOOST_TEST_REQUIRE(control.add_destination(sip, server).has_value());
    const auto calling = [&] {
        return configuration->calling_servers.find({17, server.key.address, server.key.port});
    };
    BOOST_TEST(calling() == nullptr);
    spec.persistence_engine = "sip";
    BOOST_TEST_REQUIRE(control.edit_service(sip, spec).has_value());
    BOOST_TEST_REQUIRE(calling() != nullptr);
    BOOST_TEST((calling()->service == sip));
    BOOST_TEST((calling()->destination == published(sip)->destinations[0].id));
    BOOST_TEST(published(sip)->by_call_id);
    BOOST_TEST(configuration->calling_server_count == 1U);
    BOOST_TEST_REQUIRE(control.remove_destination(sip, server.key).has_value());
    BOOST_TEST(calling() == nullptr);
    BOOST_TEST(configuration->calling_server_count == 0U);
}

BOOST_AUTO_TEST_CASE(real_servers_are_counted_over_services_and_methods) {
    const auto other = tcp_service("10.0.0.2", 80);
    add_web();
    BOOST_TEST_REQUIRE(control.add_service(other, scheduled_by("rr")).has_value());
    auto spec = masqueraded("10.0.0.11");
    add(spec);
    BOOST_TEST_REQUIRE(control.add_destination(other, spec).has_value());
    BOOST_TEST(services_of_real_server(spec) == 2U);
    spec.forwarding = 3;
    BOOST_TEST_REQUIRE(control.edit_destination(web, spec).has_value());
    BOOST_TEST(services_of_real_server(spec) == 1U);
    spec.forwarding = 0;
    BOOST_TEST_REQUIRE(control.edit_destination(web, spec).has_value());
    BOOST_TEST(services_of_real_server(spec) == 2U);
    control.flush();
    BOOST_TEST(services_of_real_server(spec) == 0U);
}

BOOST_AUTO_TEST_CASE(a_destination_without_port_replies_from_the_services_port) {
    add_web();
    auto spec = masqueraded("10.0.0.11", 0);
    add(spec);
    spec.key.port = port_of(80);
    BOOST_TEST(services_of_real_server(spec) == 1U);
}

BOOST_AUTO_TEST_CASE(a_firewall_mark_service_expects_replies_of_every_protocol) {
    const ipvs::ServiceKey mark = ipvs::FirewallMarkKey{net::Family::inet, 7};
    BOOST_TEST_REQUIRE(control.add_service(mark, scheduled_by("rr")).has_value());
    const auto spec = masqueraded("10.0.0.11");
    BOOST_TEST_REQUIRE(control.add_destination(mark, spec).has_value());
    for (const auto protocol : {std::uint8_t{6}, std::uint8_t{17}, std::uint8_t{132}}) {
        const forwarding::RealServerKey key{protocol, spec.key.address, spec.key.port};
        BOOST_TEST((configuration->real_servers.find(key) != nullptr));
    }
    BOOST_TEST(configuration->firewall_mark_services.load() == 1U);
}

BOOST_AUTO_TEST_CASE(servers_that_answer_from_any_port_are_known_by_none) {
    const auto has = [this](std::uint8_t protocol, std::uint16_t port) {
        const forwarding::RealServerKey key{protocol, masqueraded("10.0.0.11").key.address, port_of(port)};
        return configuration->real_servers.find(key) != nullptr;
    };
    add_web();
    add(masqueraded("10.0.0.11", 8080));
    BOOST_TEST((has(6, 8080) && !has(6, 0)));
    BOOST_TEST(configuration->any_port_servers.load() == 0U);
    control.flush();
    // FTP's data connections, any port of the client's choice, persistent clients of a mark.
    const ipvs::ServiceKey services[]{
        tcp_service("10.0.0.1", 21), tcp_service("10.0.0.1", 0), ipvs::FirewallMarkKey{net::Family::inet, 7}
    };
    for (const auto& service : services) {
        BOOST_TEST_REQUIRE(control.add_service(service, scheduled_by("rr")).has_value());
        BOOST_TEST_REQUIRE(control.add_destination(service, masqueraded("10.0.0.11", 8080)).has_value());
        BOOST_TEST((has(6, 8080) && has(6, 0)));
        BOOST_TEST(configuration->any_port_servers.load() != 0U);
        control.flush();
        BOOST_TEST((!has(6, 8080) && !has(6, 0)));
        BOOST_TEST(configuration->any_port_servers.load() == 0U);
    }
}

BOOST_AUTO_TEST_CASE(special_services_are_counted) {
    for (const std::uint16_t number : std::initializer_list<std::uint16_t>{0, 21, 80}) {
        const auto key = tcp_service("10.0.0.1", number);
        BOOST_TEST_REQUIRE(control.add_service(key, scheduled_by("rr")).has_value());
    }
    BOOST_TEST(configuration->any_port_services.load() == 1U);
    BOOST_TEST(configuration->ftp_services.load() == 1U);
    BOOST_TEST(configuration->services_v4.load() == 3U);
    control.flush();
    BOOST_TEST(configuration->any_port_services.load() == 0U);
    BOOST_TEST(configuration->ftp_services.load() == 0U);
    BOOST_TEST(configuration->services_v4.load() == 0U);
}

BOOST_AUTO_TEST_CASE(changed_thresholds_are_looked_at_again) {
    add_web();
    auto spec = masqueraded("10.0.0.11");
    add(spec);
    auto& totals = slot(only_destination()).totals;
    totals.bind();
    totals.bind();
    spec.upper_threshold = 2;
    BOOST_TEST_REQUIRE(control.edit_destination(web, spec).has_value());
    BOOST_TEST(totals.overloaded.load());
    spec.upper_threshold = 0;
    BOOST_TEST_REQUIRE(control.edit_destination(web, spec).has_value());
    BOOST_TEST(!totals.overloaded.load());
}

BOOST_AUTO_TEST_CASE(another_method_or_tunnel_is_tracked_anew) {
    add_web();
    auto spec = masqueraded("10.0.0.11");
    add(spec);
    spec.forwarding = 2;
    spec.tunnel = {ipvs::TunnelType::gue, port_of(6080), 1};
    BOOST_TEST_REQUIRE(control.edit_destination(web, spec).has_value());
    const auto& tracked = tracker.tracked.at(only_destination().value);
    BOOST_TEST((tracked.method == ipvs::ForwardingMethod::tunnel));
    BOOST_TEST((tracked.tunnel == spec.tunnel));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nlvs::daemon
