// Sync daemons between mailboxes and sockets, without workers and without a network.

#include <boost/test/unit_test.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include "compat/ipvs_sync/decoder.hpp"
#include "daemon/sync_backup.hpp"
#include "daemon/sync_master.hpp"
#include "tests/daemon/control_fixture.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/hex.hpp"

namespace nlvs::daemon {
namespace {

using net::operator""_ip;

/// Two ends of a wire.
struct Wire {
    Wire() { BOOST_TEST_REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends.data()) == 0); }

    ~Wire() { close(ends[1]); }

    /// The datagrams that have come out of this end.
    std::vector<std::vector<std::byte>> received() const {
        std::vector<std::vector<std::byte>> result;
        std::array<std::byte, 65536> buffer;
        for (ssize_t size; (size = recv(ends[1], buffer.data(), buffer.size(), 0)) >= 0;) {
            result.emplace_back(buffer.begin(), buffer.begin() + size);
        }
        return result;
    }

    std::vector<SyncSocket> socket() const {
        std::vector<SyncSocket> result;
        result.push_back(SyncSocket::adopt(ends[0]));
        return result;
    }

    std::array<int, 2> ends{};
};

struct SyncFixture : ControlFixture {
    SyncFixture() {
        config.max_length = 1472;
        config.sync_id = 21;
        ipvs::Sysctls sysctls = control.sysctls();
        sysctls.sync_qlen_max = 1000;
        control.set_sysctls(sysctls);
        for (auto& box : boxes) mail_access.push_back({nullptr, nullptr, &box, {}});
    }

    /// The published id of the only destination of `key`.
    forwarding::DestinationId serve(
        const ipvs::ServiceKey& key, const ipvs::DestinationSpec& destination
    ) {
        BOOST_TEST_REQUIRE(control.add_service(key, scheduled_by("rr")).has_value());
        BOOST_TEST_REQUIRE(control.add_destination(key, destination).has_value());
        return published(key)->destinations.at(0).id;
    }

    void announce(std::size_t worker, forwarding::DestinationId destination, std::uint16_t port) {
        forwarding::SyncAnnouncement announcement;
        announcement.destination = destination;
        announcement.client = "10.0.0.100"_ip;
        announcement.virtual_address = "10.0.0.10"_ip;
        announcement.client_port = net::Port{port};
        announcement.virtual_port = announcement.destination_port = net::Port{std::uint16_t{80}};
        announcement.protocol = 6;
        announcement.state = 1;
        announcement.timeout = 900 * forwarding::ticks_per_second;
        BOOST_TEST_REQUIRE(boxes[worker].announce(announcement));
    }

    void run_until(const std::function<bool()>& held) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{30};
        while (!held() && std::chrono::steady_clock::now() < end) {
            context.run_for(std::chrono::milliseconds{1});
            context.restart();
        }
        BOOST_TEST(held());
    }

    boost::asio::io_context context;
    std::array<forwarding::Mailbox, 2> boxes;
    std::vector<WorkerAccess> mail_access;
    ipvs::SyncDaemonConfig config;
    Wire wire;
};

ipvs_sync::Connection connection(const char* destination, std::uint32_t flags = 0) {
    ipvs_sync::Connection result;
    result.protocol = 6;
    result.flags = flags;
    result.state = 1;
    result.client = "10.0.0.100"_ip;
    result.virtual_address = "10.0.0.1"_ip;
    result.destination = *net::parse_ip_address(destination);
    result.client_port = net::Port{std::uint16_t{40001}};
    result.virtual_port = result.destination_port = net::Port{std::uint16_t{80}};
    return result;
}

/// Linux's message with a TCP and a UDP connection of each family.
std::vector<std::byte> recorded() {
    std::ifstream file{test::corpus() / "sync" / "plain"};
    std::string line;
    BOOST_TEST_REQUIRE(static_cast<bool>(std::getline(file, line)));
    return test::hex(line);
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(connection_sync_test, SyncFixture)

BOOST_AUTO_TEST_CASE(a_stopped_master_sends_what_it_has) {
    const auto id = serve(ipvs::FirewallMarkKey{net::Family::inet, 7}, masqueraded("192.168.1.2", 0));
    SyncMasterCounters counters;
    {
        SyncMaster master{context, control, mail_access, nullptr, config, wire.socket(), counters};
        announce(0, id, 40001);
        announce(1, id, 40002);
    }
    const auto messages = wire.received();
    BOOST_TEST_REQUIRE(messages.size() == 1U);
    std::vector<ipvs_sync::Connection> told;
    ipvs_sync::decode(messages[0], 21, [&](const ipvs_sync::Connection& one) { told.push_back(one); });
    BOOST_TEST_REQUIRE(told.size() == 2U);
    BOOST_TEST(told[0].client_port.host() == 40001);
    BOOST_TEST(told[1].client_port.host() == 40002);
    BOOST_TEST((told[0].destination == "192.168.1.2"_ip));
    BOOST_TEST(told[0].firewall_mark == 7U);
    BOOST_TEST(told[0].timeout == 900U);
    BOOST_TEST(counters.connections == 2U);
    BOOST_TEST(counters.messages == 1U);
}

/// What the event loop has found due in the same round as the command that stops the master can no
/// longer be cancelled. It must find nobody.
BOOST_AUTO_TEST_CASE(a_master_that_is_stopped_beside_its_timer_is_left_alone) {
    SyncMasterCounters counters;
    std::optional<SyncMaster> master;
    master.emplace(context, control, mail_access, nullptr, config, wire.socket(), counters);
    boost::asio::local::stream_protocol::socket here{context}, there{context};
    boost::asio::local::connect_pair(here, there);
    bool stopped = false;
    here.async_wait(boost::asio::socket_base::wait_read, [&](const boost::system::error_code&) {
        master.reset();
        stopped = true;
    });
    context.poll();
    BOOST_TEST_REQUIRE(!stopped);
    there.send(boost::asio::buffer("x", 1));
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
    context.poll();
    BOOST_TEST(stopped);
    BOOST_TEST(context.poll() == 0U);
}

BOOST_AUTO_TEST_CASE(a_full_message_does_not_wait) {
    const auto id = serve(tcp_service("10.0.0.10", 80), masqueraded("192.168.1.2"));
    config.max_length = 8 + 2 * 36;
    SyncMasterCounters counters;
    SyncMaster master{context, control, mail_access, nullptr, config, wire.socket(), counters};
    for (std::uint16_t port = 1; port <= 5; ++port) announce(0, id, port);
    run_until([&] { return counters.messages == 2; });
    BOOST_TEST(wire.received().size() == 2U);
    BOOST_TEST(counters.connections == 5U);
}

BOOST_AUTO_TEST_CASE(what_an_earlier_master_was_told_is_not_sent) {
    const auto id = serve(tcp_service("10.0.0.10", 80), masqueraded("192.168.1.2"));
    announce(0, id, 40001);
    SyncMasterCounters counters;
    { SyncMaster master{context, control, mail_access, nullptr, config, wire.socket(), counters}; }
    BOOST_TEST(wire.received().empty());
}

BOOST_AUTO_TEST_CASE(a_queue_longer_than_sync_qlen_max_is_cut) {
    const auto id = serve(tcp_service("10.0.0.10", 80), masqueraded("192.168.1.2"));
    ipvs::Sysctls sysctls = control.sysctls();
    sysctls.sync_qlen_max = 1;
    control.set_sysctls(sysctls);
    config.max_length = 8 + 36;
    SyncMasterCounters counters;
    {
        SyncMaster master{context, control, mail_access, nullptr, config, wire.socket(), counters};
        for (std::uint16_t port = 1; port <= 5; ++port) announce(0, id, port);
    }
    BOOST_TEST(counters.messages == 1U);
    BOOST_TEST(counters.overflowed == 4U);
}

BOOST_AUTO_TEST_CASE(a_backup_understands_and_counts_without_workers) {
    WorkerMail mail{context, {}};
    SyncBackupCounters counters;
    SyncBackup backup{context, control, mail, nullptr, config, wire.socket(), counters};
    const auto message = recorded();
    auto foreign = message;
    foreign[1] = std::byte{22};
    auto cut = message;
    cut.pop_back();
    for (const auto& datagram : {message, foreign, cut}) {
        BOOST_TEST(send(wire.ends[1], datagram.data(), datagram.size(), 0) > 0);
    }
    run_until([&] { return counters.messages + counters.foreign == 3; });
    BOOST_TEST(counters.connections == 4U);
    BOOST_TEST(counters.unbound == 4U);
    BOOST_TEST(counters.foreign == 1U);
    BOOST_TEST(counters.malformed == 1U);
}

// Linux: ip_vs_ctl.c ip_vs_find_dest.
BOOST_AUTO_TEST_CASE(a_connection_leads_where_a_packet_would_be_sent) {
    const auto web = serve(tcp_service("10.0.0.1", 80), masqueraded("192.168.1.2"));
    const auto any = serve(tcp_service("10.0.0.1", 0), masqueraded("192.168.1.3", 0));
    const auto marked =
        serve(ipvs::FirewallMarkKey{net::Family::inet, 7}, masqueraded("192.168.1.4", 0));
    BOOST_TEST((control.destination_of(connection("192.168.1.2")) == web));
    auto other_port = connection("192.168.1.3");
    other_port.virtual_port = other_port.destination_port = net::Port{std::uint16_t{81}};
    BOOST_TEST((control.destination_of(other_port) == any));
    auto by_mark = connection("192.168.1.4", 3);
    by_mark.firewall_mark = 7;
    BOOST_TEST((control.destination_of(by_mark) == marked));
    BOOST_TEST(control.firewall_mark(marked) == 7U);
    BOOST_TEST(control.firewall_mark(web) == 0U);
}

BOOST_AUTO_TEST_CASE(without_destination_there_is_a_stand_in_until_nobody_needs_it) {
    const auto unknown = control.destination_of(connection("192.168.1.9", 3));
    BOOST_TEST_REQUIRE(unknown.has_value());
    BOOST_TEST((control.destination_of(connection("192.168.1.9", 3)) == unknown));
    const forwarding::DestinationSlot& stand_in = slot(*unknown);
    BOOST_TEST(stand_in.unbound);
    BOOST_TEST(stand_in.available.load());
    BOOST_TEST((stand_in.address == "192.168.1.9"_ip));
    BOOST_TEST((tracker.tracked[unknown->value].method == ipvs::ForwardingMethod::direct_route));
    // A template must not send new connections there.
    const auto of_template =
        control.destination_of(connection("192.168.1.9", ipvs_sync::Flags::persistence_template));
    BOOST_TEST_REQUIRE(of_template.has_value());
    BOOST_TEST(!slot(*of_template).available.load());

    const auto known = serve(tcp_service("10.0.0.1", 80), masqueraded("192.168.1.9"));
    BOOST_TEST((control.destination_of(connection("192.168.1.9", 3)) == known));
    slot(*unknown).totals.connections = 1;
    const auto later = std::chrono::steady_clock::now() + std::chrono::seconds{61};
    const auto in_use = control.destinations_in_use();
    control.scan_trash(later);
    reclaimer.collect();
    BOOST_TEST(control.destinations_in_use() == in_use - 1);
    slot(*unknown).totals.connections = 0;
    control.scan_trash(later);
    reclaimer.collect();
    BOOST_TEST(control.destinations_in_use() == in_use - 2);
    BOOST_TEST(!tracker.tracked.contains(unknown->value));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::daemon
