#include "compat/net/ip_address.hpp"
#include "tests/support/director.hpp"

#include <cstring>

#include <boost/test/unit_test.hpp>

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

const auto client = "10.0.0.100"_ip;
const auto vip = "203.0.113.10"_ip;
const auto server = "192.168.1.2"_ip;
const auto other_server = "192.168.1.3"_ip;
constexpr std::uint32_t mark = 7;
constexpr std::uint8_t tcp_number = 6;

/// set_mark to `mark`, or another effect, for every packet.
std::vector<MarkStep> program(MarkStep effect = {.operation = MarkOperation::change_mark}) {
    return {effect, {.operation = MarkOperation::finish}};
}

std::vector<std::byte> constants() {
    std::vector<std::byte> bytes(8);
    std::memcpy(bytes.data() + 4, &mark, sizeof(mark));
    return bytes;
}

struct Marked : EalFixture {
    explicit Marked(
        std::uint16_t port = 0,
        ForwardingMethod method = ForwardingMethod::masquerade,
        std::uint16_t workers = 1
    )
        : director{workers} {
        director.add_local(vip);
        Service service = director.service(net::Family::inet, mark);
        slot = &director.add_destination(service, server, port, method);
        director.publish(std::move(service));
        director.set_marks(program(), constants());
    }

    Director director;
    DestinationSlot* slot = nullptr;
};

Bytes syn(std::uint16_t from, std::uint16_t to) {
    return (ipv4(client, vip).ttl(64) / tcp(from, to).syn()).frame();
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(pipeline_marks_test, EalFixture)

BOOST_AUTO_TEST_CASE(a_marked_packet_finds_its_service_on_any_port) {
    Marked lab;
    for (const auto port : std::initializer_list<std::uint16_t>{80, 443, 65535}) {
        const auto sent = lab.director.receive(syn(4000, port));
        BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
        // The destination has port 0: the client's choice stays.
        BOOST_TEST(
            (sent.frames[0] == (ipv4(client, server).ttl(63) / tcp(4000, port).syn()).frame())
        );
        const auto reply = lab.director.receive(
            (ipv4(server, client).ttl(64) / tcp(port, 4000).syn().ack()).frame()
        );
        BOOST_TEST_REQUIRE(reply.frames.size() == 1U);
        BOOST_TEST(
            (reply.frames[0] == (ipv4(vip, client).ttl(63) / tcp(port, 4000).syn().ack()).frame())
        );
    }
}

BOOST_AUTO_TEST_CASE(a_port_of_the_destination_replaces_the_clients) {
    Marked lab{8080};
    const auto sent = lab.director.receive(syn(4000, 443));
    BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
    BOOST_TEST((sent.frames[0] == (ipv4(client, server).ttl(63) / tcp(4000, 8080).syn()).frame()));
}

BOOST_AUTO_TEST_CASE(every_protocol_with_the_mark_is_served) {
    Marked lab{0, ForwardingMethod::direct_route};
    BOOST_TEST(
        lab.director.receive((ipv4(client, vip) / udp(4000, 53) / payload(4)).frame())
            .frames.size() == 1U
    );
    BOOST_TEST(
        lab.director.receive((ipv4(client, vip) / sctp(4000, 99) / payload(16)).frame())
            .frames.size() == 1U
    );
    BOOST_TEST(lab.director.connections() == 2U);
}

BOOST_AUTO_TEST_CASE(the_mark_comes_before_address_and_port) {
    Marked lab;
    Service by_address = lab.director.service(tcp_number, vip, 80);
    lab.director.add_destination(by_address, other_server, 80);
    lab.director.publish(std::move(by_address));
    const auto marked = lab.director.receive(syn(4000, 80));
    BOOST_TEST_REQUIRE(marked.frames.size() == 1U);
    BOOST_TEST((marked.frames[0] == (ipv4(client, server).ttl(63) / tcp(4000, 80).syn()).frame()));
    BOOST_TEST_CONTEXT("a mark of no service") {
        std::vector<std::byte> other(8);
        other[4] = std::byte{9};
        lab.director.set_marks(program(), other);
        const auto sent = lab.director.receive(syn(4001, 80));
        BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
        BOOST_TEST(
            (sent.frames[0] == (ipv4(client, other_server).ttl(63) / tcp(4001, 80).syn()).frame())
        );
    }
}

BOOST_AUTO_TEST_CASE(packets_of_a_connection_are_not_put_to_the_rules) {
    Marked lab;
    lab.director.receive(syn(4000, 80));
    BOOST_TEST(lab.director.counters().marks_asked.read() == 1U);
    for (unsigned i = 0; i < 5; ++i) {
        lab.director.receive((ipv4(client, vip) / tcp(4000, 80).ack()).frame());
        lab.director.receive((ipv4(server, client) / tcp(80, 4000).ack()).frame());
    }
    BOOST_TEST(lab.director.counters().marks_asked.read() == 1U);
}

BOOST_AUTO_TEST_CASE(a_connection_outlives_its_rule) {
    Marked lab;
    lab.director.receive(syn(4000, 80));
    lab.director.set_marks({{.operation = MarkOperation::finish}});
    BOOST_TEST(
        lab.director.receive((ipv4(client, vip) / tcp(4000, 80).ack()).frame()).frames.size() == 1U
    );
    BOOST_TEST(lab.director.receive(syn(4001, 80)).punted.size() == 1U);
}

BOOST_AUTO_TEST_CASE(what_only_the_kernel_can_decide_goes_to_the_kernel) {
    Marked lab;
    Service by_address = lab.director.service(tcp_number, vip, 80);
    lab.director.add_destination(by_address, other_server, 80);
    lab.director.publish(std::move(by_address));
    lab.director.set_marks(program({.operation = MarkOperation::undecided}));
    BOOST_TEST(lab.director.receive(syn(4000, 80)).punted.size() == 1U);
    BOOST_TEST(lab.director.counters().marks_undecided.read() == 1U);
    lab.director.set_marks(program({.operation = MarkOperation::poison}));
    BOOST_TEST(lab.director.receive(syn(4000, 80)).punted.size() == 1U);
    BOOST_TEST(lab.director.counters().marks_undecided.read() == 2U);
    lab.director.set_marks(program({.operation = MarkOperation::hand_to_kernel}));
    BOOST_TEST(lab.director.receive(syn(4000, 80)).punted.size() == 1U);
    BOOST_TEST(lab.director.counters().marks_undecided.read() == 2U);
    BOOST_TEST(lab.director.connections() == 0U);
}

BOOST_AUTO_TEST_CASE(a_marked_packet_for_another_host_is_the_kernels) {
    Marked lab;
    const auto elsewhere = "198.51.100.1"_ip;
    BOOST_TEST(
        lab.director.receive((ipv4(client, elsewhere) / tcp(4000, 80).syn()).frame())
            .punted.size() == 1U
    );
    BOOST_TEST(lab.director.counters().marks_asked.read() == 0U);
}

BOOST_AUTO_TEST_CASE(clients_stay_with_their_server_across_ports_and_protocols) {
    Director director;
    director.add_local(vip);
    Service service = director.service(net::Family::inet, mark);
    service.flags.word |= ipvs::ServiceFlags::persistent;
    service.persistence_timeout = 100 * ticks_per_second;
    director.add_destination(service, server, 0, ForwardingMethod::direct_route);
    director.add_destination(service, other_server, 0, ForwardingMethod::direct_route);
    director.publish(std::move(service));
    director.set_marks(program(), constants());
    for (std::uint16_t i = 0; i < 4; ++i) {
        director.receive(
            syn(static_cast<std::uint16_t>(4000 + i), static_cast<std::uint16_t>(80 + i))
        );
        director.receive(
            (ipv4(client, vip) / udp(4000, static_cast<std::uint16_t>(80 + i)) / payload(4)).frame()
        );
    }
    const auto first = director.counters().destinations[0].read().connections;
    const auto second = director.counters().destinations[1].read().connections;
    BOOST_TEST(first + second == 8U);
    BOOST_TEST((first == 0 || second == 0));
    BOOST_TEST(director.templates().size() == 1U);
}

BOOST_AUTO_TEST_CASE(with_several_workers_the_owner_alone_asks_the_rules) {
    constexpr std::uint16_t workers = 4;
    Marked lab{0, ForwardingMethod::masquerade, workers};
    const auto asked = [&lab] {
        std::uint64_t sum = 0;
        for (WorkerId id = 0; id < workers; ++id)
            sum += lab.director.counters(id).marks_asked.read();
        return sum;
    };
    for (std::uint16_t i = 0; i < 32; ++i) {
        const auto port = static_cast<std::uint16_t>(4000 + i);
        const auto arrival = static_cast<WorkerId>(i % workers);
        BOOST_TEST_REQUIRE(lab.director.receive(syn(port, 80), arrival).frames.size() == 1U);
        BOOST_TEST(asked() == i + 1U);
        for (WorkerId id = 0; id < workers; ++id) {
            const auto request =
                lab.director.receive((ipv4(client, vip) / tcp(port, 80).ack()).frame(), id);
            BOOST_TEST_REQUIRE(request.frames.size() == 1U);
            const auto reply = lab.director.receive(
                (ipv4(server, client).ttl(64) / tcp(80, port).ack()).frame(), id
            );
            BOOST_TEST_REQUIRE(reply.frames.size() == 1U);
            BOOST_TEST(
                (reply.frames[0] == (ipv4(vip, client).ttl(63) / tcp(80, port).ack()).frame())
            );
        }
        BOOST_TEST(asked() == i + 1U);
    }
}

BOOST_AUTO_TEST_CASE(errors_from_clients_find_the_connection_on_every_worker) {
    constexpr std::uint16_t workers = 4;
    Marked lab{0, ForwardingMethod::masquerade, workers};
    for (std::uint16_t i = 0; i < 8; ++i) {
        const auto port = static_cast<std::uint16_t>(4000 + i);
        lab.director.receive(syn(port, 80));
        const Bytes about = (ipv4(vip, client).ttl(60) / tcp(80, port).ack()).bytes();
        const auto sent = lab.director.receive(
            (ipv4("10.0.0.1"_ip, vip) / icmp(3, 4, 1400) / raw(about)).frame(),
            static_cast<WorkerId>(i % workers)
        );
        BOOST_TEST(sent.frames.size() == 1U);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
