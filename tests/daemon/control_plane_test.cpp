#include "daemon/control_plane.hpp"

#include <boost/test/unit_test.hpp>

#include "tests/daemon/control_fixture.hpp"

namespace nlvs::daemon {
namespace {

using ipvs::Error;

ipvs::SyncDaemonConfig daemon_of(std::uint32_t state, const char* interface = "eth0") {
    ipvs::SyncDaemonConfig config;
    config.state = state;
    config.interface = interface;
    return config;
}

template <class T>
bool fails(const ipvs::Result<T>& result, Error error) {
    return !result.has_value() && result.error() == error;
}

BOOST_FIXTURE_TEST_SUITE(control_plane_test, ControlFixture)

BOOST_AUTO_TEST_CASE(sync_daemons_are_refused_for_the_kernels_reasons_in_its_order) {
    auto unicast = daemon_of(1, "none");
    unicast.group = *net::parse_ip_address("10.0.0.1");
    BOOST_TEST(fails(control.start_daemon(unicast), Error::invalid_argument));
    BOOST_TEST(fails(control.start_daemon(daemon_of(3, "none")), Error::no_such_device));
    BOOST_TEST(fails(control.start_daemon(daemon_of(3)), Error::invalid_argument));
    BOOST_TEST(control.start_daemon(daemon_of(1)).has_value());
    BOOST_TEST(fails(control.start_daemon(daemon_of(1)), Error::daemon_exists));
    BOOST_TEST(fails(control.start_daemon(daemon_of(1, "none")), Error::no_such_device));
    BOOST_TEST(fails(control.stop_daemon(2), Error::no_such_daemon));
    BOOST_TEST(fails(control.stop_daemon(0), Error::invalid_argument));
    BOOST_TEST(control.stop_daemon(1).has_value());
}

BOOST_AUTO_TEST_CASE(sync_daemons_are_listed_with_effective_values_master_first) {
    auto backup = daemon_of(2);
    backup.sync_id = 300;
    backup.max_length = 10;
    BOOST_TEST_REQUIRE(control.start_daemon(backup).has_value());
    BOOST_TEST_REQUIRE(control.start_daemon(daemon_of(1)).has_value());
    const auto list = control.daemons();
    BOOST_TEST_REQUIRE(list.size() == 2U);
    BOOST_TEST(list[0].state == 1U);
    BOOST_TEST(list[0].max_length == 1472U);
    BOOST_TEST((list[0].group == *net::parse_ip_address("224.0.0.81")));
    BOOST_TEST(list[0].port == 8848U);
    BOOST_TEST(list[0].ttl == 1U);
    BOOST_TEST(list[1].sync_id == 300U);
    BOOST_TEST(list[1].max_length == 1024U);
}

BOOST_AUTO_TEST_CASE(a_sync_daemon_stops_at_once) {
    BOOST_TEST_REQUIRE(control.start_daemon(daemon_of(1)).has_value());
    BOOST_TEST(control.stop_daemon(1).has_value());
    BOOST_TEST(fails(control.stop_daemon(1), Error::no_such_daemon));
}

/// Notes what it is told, and fails on demand.
class FakeRunner final : public SyncRunner {
public:
    ipvs::Result<void> start(const ipvs::SyncDaemonConfig& config, SyncRoute) override {
        if (failure) return std::unexpected{*failure};
        running.push_back(config.state);
        return {};
    }

    void stop(SyncRole role) override { std::erase(running, static_cast<std::uint32_t>(role)); }

    std::optional<Error> failure;
    std::vector<std::uint32_t> running;
};

BOOST_AUTO_TEST_CASE(a_sync_daemon_runs_as_long_as_it_is_listed) {
    FakeRunner runner;
    control.set_sync_runner(&runner);
    const auto settings = [this] { return *configuration->settings.current(); };
    runner.failure = Error::network_unreachable;
    BOOST_TEST(fails(control.start_daemon(daemon_of(1)), Error::network_unreachable));
    BOOST_TEST(control.daemons().empty());
    BOOST_TEST(!settings().sync_master);
    runner.failure.reset();
    BOOST_TEST(control.start_daemon(daemon_of(1)).has_value());
    BOOST_TEST(settings().sync_master);
    BOOST_TEST(!configuration->takes_synced.load());
    BOOST_TEST(control.start_daemon(daemon_of(2)).has_value());
    BOOST_TEST(configuration->takes_synced.load());
    BOOST_TEST((runner.running == std::vector<std::uint32_t>{1, 2}));
    BOOST_TEST(control.stop_daemon(1).has_value());
    BOOST_TEST((runner.running == std::vector<std::uint32_t>{2}));
    BOOST_TEST(!settings().sync_master);
}

BOOST_AUTO_TEST_CASE(backup_only_counts_while_a_backup_runs) {
    ipvs::Sysctls sysctls = control.sysctls();
    sysctls.backup_only = 1;
    control.set_sysctls(sysctls);
    BOOST_TEST(!configuration->settings.current()->passive);
    BOOST_TEST_REQUIRE(control.start_daemon(daemon_of(2)).has_value());
    BOOST_TEST(configuration->settings.current()->passive);
    BOOST_TEST_REQUIRE(control.stop_daemon(2).has_value());
    BOOST_TEST(!configuration->settings.current()->passive);
}

// Connections remember the next hop of their answers.
BOOST_AUTO_TEST_CASE(a_change_of_snat_reroute_has_answers_routed_anew) {
    const std::uint32_t before = configuration->routing_generation;
    ipvs::Sysctls sysctls = control.sysctls();
    sysctls.drop_entry = 3;
    control.set_sysctls(sysctls);
    BOOST_TEST(configuration->routing_generation == before);
    sysctls.snat_reroute = 0;
    control.set_sysctls(sysctls);
    BOOST_TEST(configuration->routing_generation != before);
}

BOOST_AUTO_TEST_CASE(mixed_families_and_sync_daemons_exclude_each_other) {
    const auto web = tcp_service("10.0.0.1", 80);
    BOOST_TEST_REQUIRE(control.add_service(web, scheduled_by("rr")).has_value());
    auto tunnel = masqueraded("2001:db8::11");
    tunnel.forwarding = 2;
    BOOST_TEST_REQUIRE(control.start_daemon(daemon_of(1)).has_value());
    BOOST_TEST(fails(control.add_destination(web, tunnel), Error::invalid_argument));
    BOOST_TEST_REQUIRE(control.stop_daemon(1).has_value());
    BOOST_TEST(control.add_destination(web, tunnel).has_value());
    BOOST_TEST(control.mixes_families());
    BOOST_TEST_REQUIRE(control.remove_destination(web, tunnel.key).has_value());
    BOOST_TEST(!control.mixes_families());
}

BOOST_AUTO_TEST_CASE(timeouts_keep_what_is_zero_and_refuse_what_jiffies_cannot_hold) {
    BOOST_TEST(control.set_timeouts({0, 30, 0}).has_value());
    BOOST_TEST((control.timeouts() == ipvs::Timeouts{900, 30, 300}));
    BOOST_TEST(fails(control.set_timeouts({1, 8589935, 1}), Error::invalid_argument));
    BOOST_TEST(fails(control.set_timeouts({~0U, 0, 0}), Error::invalid_argument));
    BOOST_TEST((control.timeouts() == ipvs::Timeouts{900, 30, 300}));
    BOOST_TEST(control.set_timeouts({0, 0, 8589934}).has_value());
    BOOST_TEST(configuration->settings.current()->timeouts.udp == 8589934U);
}

BOOST_AUTO_TEST_CASE(a_missing_service_is_reported_before_anything_about_the_destination) {
    auto bad = masqueraded("10.0.0.11");
    bad.weight = -1;
    const auto missing = tcp_service("10.0.0.1", 80);
    BOOST_TEST(fails(control.add_destination(missing, bad), Error::no_such_service));
    BOOST_TEST(fails(control.edit_destination(missing, bad), Error::no_such_service));
    BOOST_TEST(fails(control.remove_destination(missing, bad.key), Error::no_such_service));
    BOOST_TEST(fails(control.zero(missing), Error::no_such_service));
    BOOST_TEST(fails(control.find_service(missing), Error::no_such_service));
}

BOOST_AUTO_TEST_CASE(connections_are_shown_as_the_slot_counts_them) {
    const auto web = tcp_service("10.0.0.1", 80);
    BOOST_TEST_REQUIRE(control.add_service(web, scheduled_by("rr")).has_value());
    BOOST_TEST_REQUIRE(control.add_destination(web, masqueraded("10.0.0.11")).has_value());
    auto& totals = slot(published(web)->destinations[0].id).totals;
    totals.connections = 5;
    totals.active = 2;
    totals.persistent = 1;
    control.visit_destinations(web, 0, [](const ipvs::DestinationView& view) {
        BOOST_TEST(view.active_connections == 2U);
        BOOST_TEST(view.inactive_connections == 3U);
        BOOST_TEST(view.persistent_connections == 1U);
        return true;
    });
}

BOOST_AUTO_TEST_CASE(deleting_with_expire_nodest_conn_has_connections_dropped) {
    int expired = 0;
    control.set_expire_connections([&expired] { ++expired; });
    const auto web = tcp_service("10.0.0.1", 80);
    const auto server = masqueraded("10.0.0.11");
    const auto come_and_go = [&] {
        BOOST_TEST_REQUIRE(control.add_service(web, scheduled_by("rr")).has_value());
        BOOST_TEST_REQUIRE(control.add_destination(web, server).has_value());
        BOOST_TEST_REQUIRE(control.remove_destination(web, server.key).has_value());
        BOOST_TEST_REQUIRE(control.remove_service(web).has_value());
    };
    come_and_go();
    BOOST_TEST(expired == 0);
    ipvs::Sysctls sysctls = control.sysctls();
    sysctls.expire_nodest_conn = 1;
    control.set_sysctls(sysctls);
    come_and_go();
    BOOST_TEST(expired == 2);
}

// Linux: ip_vs_ctl.c proc_do_defense_mode, update_defense_level.
BOOST_AUTO_TEST_CASE(automatic_defences_follow_the_memory) {
    const auto settings = [this] { return *configuration->settings.current(); };
    ipvs::Sysctls sysctls = control.sysctls();
    sysctls.drop_entry = 2;
    sysctls.drop_packet = 1;
    control.set_sysctls(sysctls);
    BOOST_TEST(control.sysctls().drop_entry == 1);
    BOOST_TEST(!settings().drop_entry);
    control.tick_defences(512);
    BOOST_TEST(control.sysctls().drop_entry == 2);
    BOOST_TEST(control.sysctls().drop_packet == 2);
    BOOST_TEST(settings().drop_entry);
    BOOST_TEST(settings().drop_rate == 2);
    control.tick_defences(1024);
    BOOST_TEST(control.sysctls().drop_packet == 1);
    BOOST_TEST(settings().drop_rate == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nlvs::daemon
