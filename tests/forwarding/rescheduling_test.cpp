#include <boost/test/unit_test.hpp>

#include <initializer_list>

#include "compat/net/ip_address.hpp"
#include "forwarding/pipeline.hpp"
#include "tests/support/director.hpp"

/// Sysctls that say which packets open a connection, and when a known one is scheduled anew.
namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

constexpr std::uint8_t tcp_number = 6;
constexpr std::uint8_t sctp_number = 132;
const auto client = "10.0.0.100"_ip;
const auto vip = "203.0.113.10"_ip;
const auto server_a = "192.168.1.2"_ip;
const auto server_b = "192.168.1.3"_ip;

/// A director with one service of two servers in turn.
struct TwoServers {
    explicit TwoServers(
        std::uint8_t protocol = tcp_number, ForwardingMethod method = ForwardingMethod::masquerade,
        std::uint32_t flags = 0, std::uint16_t port = 80, std::uint16_t workers = 1
    )
        : director{workers} {
        director.add_local(vip);
        Service service = director.service(protocol, vip, port);
        service.flags.word = flags;
        service.persistence_timeout = 300 * ticks_per_second;
        slots[0] = &director.add_destination(service, server_a, port, method);
        slots[1] = &director.add_destination(service, server_b, port, method);
        director.publish(std::move(service));
    }

    /// The server whose connection count has grown by the packet, 2 if none has.
    std::size_t chosen_by(const Bytes& frame) {
        const std::uint64_t before[2]{opened(0), opened(1)};
        director.receive(frame);
        for (std::size_t i = 0; i < 2; ++i) {
            if (opened(i) != before[i]) return i;
        }
        return 2;
    }

    std::uint64_t opened(std::size_t server) {
        return director.counters().destinations[static_cast<std::uint32_t>(server)].read().connections;
    }

    Director director;
    DestinationSlot* slots[2]{};
};

Bytes tcp_packet(std::uint8_t flags, std::uint16_t port = 4000) {
    return (ipv4(client, vip) / tcp(port, 80).flags(flags)).frame();
}

constexpr std::uint8_t fin = TcpFlags::fin | TcpFlags::ack;
constexpr std::size_t nobody = 2;

}  // namespace

BOOST_FIXTURE_TEST_SUITE(rescheduling_test, EalFixture)

BOOST_AUTO_TEST_CASE(any_packet_but_a_reset_opens_a_connection_if_tcp_may_be_sloppy) {
    for (const std::int32_t sloppy : {0, 1}) {
        TwoServers lab;
        ipvs::Sysctls sysctls;
        sysctls.sloppy_tcp = sloppy;
        lab.director.set(sysctls);
        BOOST_TEST((lab.chosen_by(tcp_packet(TcpFlags::ack)) == nobody) == (sloppy == 0));
        BOOST_TEST((lab.chosen_by(tcp_packet(fin, 4001)) == nobody) == (sloppy == 0));
        BOOST_TEST(lab.chosen_by(tcp_packet(TcpFlags::rst, 4002)) == nobody);
        BOOST_TEST(lab.slots[0]->totals.active + lab.slots[1]->totals.active == (sloppy != 0 ? 1U : 0U));
    }
}

BOOST_AUTO_TEST_CASE(any_chunk_but_an_abort_opens_an_association_if_sctp_may_be_sloppy) {
    constexpr std::uint8_t data = 0;
    constexpr std::uint8_t init = 1;
    constexpr std::uint8_t abort = 6;
    const auto chunk = [](std::uint8_t type, std::uint16_t port) {
        return (ipv4(client, vip) / sctp(port, 80, type)).frame();
    };
    for (const std::int32_t sloppy : {0, 1}) {
        TwoServers lab{sctp_number};
        ipvs::Sysctls sysctls;
        sysctls.sloppy_sctp = sloppy;
        lab.director.set(sysctls);
        BOOST_TEST(lab.chosen_by(chunk(init, 4000)) != nobody);
        BOOST_TEST((lab.chosen_by(chunk(data, 4001)) == nobody) == (sloppy == 0));
        BOOST_TEST(lab.chosen_by(chunk(abort, 4002)) == nobody);
    }
}

BOOST_AUTO_TEST_CASE(a_port_used_again_is_scheduled_again_unless_told_otherwise) {
    for (const std::int32_t mode : {1, 0}) {
        TwoServers lab;
        ipvs::Sysctls sysctls;
        sysctls.conn_reuse_mode = mode;
        lab.director.set(sysctls);
        const std::size_t first = lab.chosen_by(tcp_packet(TcpFlags::syn));
        BOOST_TEST_REQUIRE(first != nobody);
        // Sent again it is the same; after a reset the connection is over.
        BOOST_TEST(lab.chosen_by(tcp_packet(TcpFlags::syn)) == nobody);
        lab.director.receive(tcp_packet(TcpFlags::rst));
        lab.director.receive((ipv4(first == 0 ? server_a : server_b, client) / tcp(80, 4000).rst()).frame());
        BOOST_TEST(lab.chosen_by(tcp_packet(TcpFlags::syn)) == (mode == 0 ? nobody : 1 - first));
        BOOST_TEST(lab.director.connections() == 1U);
    }
}

BOOST_AUTO_TEST_CASE(a_half_closed_connection_without_replies_is_reused_by_mode_two) {
    for (const std::int32_t mode : {1, 2}) {
        TwoServers lab{tcp_number, ForwardingMethod::direct_route};
        ipvs::Sysctls sysctls;
        sysctls.conn_reuse_mode = mode;
        lab.director.set(sysctls);
        const std::size_t first = lab.chosen_by(tcp_packet(TcpFlags::syn));
        lab.director.receive(tcp_packet(TcpFlags::ack));
        lab.director.receive(tcp_packet(fin));  // FIN_WAIT, as far as one direction tells
        BOOST_TEST(lab.chosen_by(tcp_packet(TcpFlags::syn)) == (mode == 2 ? 1 - first : nobody));
    }
}

BOOST_AUTO_TEST_CASE(a_port_used_again_leaves_a_server_without_weight) {
    for (const std::int32_t expire : {0, 1}) {
        TwoServers lab;
        ipvs::Sysctls sysctls;
        sysctls.expire_nodest_conn = expire;
        lab.director.set(sysctls);
        const std::size_t first = lab.chosen_by(tcp_packet(TcpFlags::syn));
        lab.slots[first]->weight = 0;
        BOOST_TEST((lab.chosen_by(tcp_packet(TcpFlags::syn)) != nobody) == (expire != 0));
        BOOST_TEST(lab.director.connections() == 1U);
    }
}

BOOST_AUTO_TEST_CASE(persistent_clients_leave_a_server_without_weight_only_if_told_to) {
    for (const std::int32_t expire : {0, 1}) {
        TwoServers lab{tcp_number, ForwardingMethod::masquerade, ipvs::ServiceFlags::persistent};
        const std::size_t first = lab.chosen_by(tcp_packet(TcpFlags::syn));
        BOOST_TEST(lab.chosen_by(tcp_packet(TcpFlags::syn, 4001)) == first);
        lab.slots[first]->weight = 0;
        ipvs::Sysctls sysctls;
        sysctls.expire_quiescent_template = expire;
        lab.director.set(sysctls);
        const std::size_t next = lab.chosen_by(tcp_packet(TcpFlags::syn, 4002));
        BOOST_TEST((next == first) == (expire == 0));
        BOOST_TEST(lab.director.templates().size() == (expire == 0 ? 1U : 2U));
    }
}

BOOST_AUTO_TEST_CASE(services_of_any_port_meet_their_replies_on_every_worker) {
    constexpr std::uint16_t workers = 4;
    TwoServers lab{tcp_number, ForwardingMethod::masquerade, ipvs::ServiceFlags::persistent, 0, workers};
    ++lab.director.configuration().any_port_services;
    for (std::uint16_t port = 4000; port < 4032; ++port) {
        const auto service = static_cast<std::uint16_t>(port + 1000);
        const auto arrival = static_cast<WorkerId>(port % workers);
        const auto sent =
            lab.director.receive((ipv4(client, vip) / tcp(port, service).syn()).frame(), arrival);
        BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
        const auto server = sent.frames[0][33] == std::byte{2} ? server_a : server_b;
        for (WorkerId worker = 0; worker < workers; ++worker) {
            const auto reply = lab.director.receive(
                (ipv4(server, client).ttl(64) / tcp(service, port).syn().ack()).frame(), worker
            );
            BOOST_TEST_REQUIRE(reply.frames.size() == 1U);
            BOOST_TEST(
                (reply.frames[0] == (ipv4(vip, client).ttl(63) / tcp(service, port).syn().ack()).frame())
            );
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
