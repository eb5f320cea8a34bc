#include "forwarding/pipeline.hpp"

#include <boost/test/unit_test.hpp>

#include "compat/net/ip_address.hpp"
#include "tests/support/director.hpp"

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

constexpr std::uint8_t tcp_number = 6;
constexpr std::uint8_t udp_number = 17;
const auto client = "10.0.0.100"_ip;
const auto vip = "203.0.113.10"_ip;
const auto server_a = "192.168.1.2"_ip;
const auto server_b = "192.168.1.3"_ip;
const auto client6 = "2001:db8::100"_ip;
const auto vip6 = "2001:db8::10"_ip;
const auto server6 = "2001:db8:1::2"_ip;

/// A director with one TCP service on vip:80 and one real server.
struct OneService : EalFixture {
    explicit OneService(std::uint16_t workers = 1, ForwardingMethod method = ForwardingMethod::masquerade)
        : director{workers} {
        director.add_local(vip);
        Service service = director.service(tcp_number, vip, 80);
        slot = &director.add_destination(service, server_a, 8080, method);
        director.publish(std::move(service));
    }

    Director director;
    DestinationSlot* slot = nullptr;
};

Bytes syn(std::uint16_t port = 40000) {
    return (ipv4(client, vip).ttl(64) / tcp(port, 80).syn()).frame();
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(pipeline_test, EalFixture)

BOOST_AUTO_TEST_CASE(a_masqueraded_connection_is_translated_both_ways) {
    OneService lab;
    const auto request = lab.director.receive(syn());
    BOOST_TEST_REQUIRE(request.frames.size() == 1U);
    BOOST_TEST((request.frames[0] == (ipv4(client, server_a).ttl(63) / tcp(40000, 8080).syn()).frame()));
    BOOST_TEST(lab.director.connections() == 1U);
    BOOST_TEST(lab.slot->totals.active == 1U);

    const auto reply = lab.director.receive(
        (ipv4(server_a, client).ttl(64) / tcp(8080, 40000).syn().ack()).frame()
    );
    BOOST_TEST_REQUIRE(reply.frames.size() == 1U);
    BOOST_TEST((reply.frames[0] == (ipv4(vip, client).ttl(63) / tcp(80, 40000).syn().ack()).frame()));

    const ipvs::Totals counted = lab.director.counters().destinations[0].read();
    BOOST_TEST((counted == ipvs::Totals{1, 1, 1, 40, 40}));
}

BOOST_AUTO_TEST_CASE(ipv6_is_translated_both_ways) {
    Director director;
    director.add_local(vip6);
    Service service = director.service(udp_number, vip6, 53);
    director.add_destination(service, server6, 5353);
    director.publish(std::move(service));
    const auto request = director.receive((ipv6(client6, vip6).hop_limit(9) / udp(4000, 53) / payload(7)).frame());
    BOOST_TEST_REQUIRE(request.frames.size() == 1U);
    BOOST_TEST((request.frames[0] == (ipv6(client6, server6).hop_limit(8) / udp(4000, 5353) / payload(7)).frame()));
    const auto reply = director.receive((ipv6(server6, client6).hop_limit(9) / udp(5353, 4000) / payload(5)).frame());
    BOOST_TEST_REQUIRE(reply.frames.size() == 1U);
    BOOST_TEST((reply.frames[0] == (ipv6(vip6, client6).hop_limit(8) / udp(53, 4000) / payload(5)).frame()));
}

BOOST_AUTO_TEST_CASE(direct_routing_changes_only_the_hop_count) {
    OneService lab{1, ForwardingMethod::direct_route};
    const auto request = lab.director.receive(syn());
    BOOST_TEST_REQUIRE(request.frames.size() == 1U);
    BOOST_TEST((request.frames[0] == (ipv4(client, vip).ttl(63) / tcp(40000, 80).syn()).frame()));
}

BOOST_AUTO_TEST_CASE(what_opens_no_connection_is_the_kernels) {
    OneService lab;
    const auto frames = {
        (ipv4(client, vip) / tcp(40000, 80).ack()).frame(),       // no connection: the stack resets
        (ipv4(client, vip) / tcp(40000, 81).syn()).frame(),       // no service
        (ipv4(client, "203.0.113.99"_ip) / tcp(40000, 80).syn()).frame(),  // not ours
        (ipv4(client, vip) / icmp(8, 0)).frame(),                 // ping
    };
    for (const Bytes& frame : frames) {
        const auto sent = lab.director.receive(frame);
        BOOST_TEST(sent.frames.empty());
        BOOST_TEST_REQUIRE(sent.punted.size() == 1U);
        BOOST_TEST((sent.punted[0] == frame));
    }
    BOOST_TEST(lab.director.connections() == 0U);
}

BOOST_AUTO_TEST_CASE(a_service_without_its_address_does_not_serve) {
    OneService lab;
    lab.director.remove_local(vip);
    BOOST_TEST(lab.director.receive(syn()).punted.size() == 1U);
    BOOST_TEST(lab.director.connections() == 0U);
}

BOOST_AUTO_TEST_CASE(a_known_connection_outlives_its_local_address) {
    OneService lab;
    lab.director.receive(syn());
    lab.director.remove_local(vip);
    const auto sent = lab.director.receive((ipv4(client, vip) / tcp(40000, 80).ack()).frame());
    BOOST_TEST(sent.frames.size() == 1U);
}

BOOST_AUTO_TEST_CASE(without_a_destination_the_client_is_told) {
    OneService lab;
    lab.slot->weight = 0;
    const auto sent = lab.director.receive(syn());
    BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
    const Parsed answer = parse(sent.frames[0], sent.frames[0].size());
    BOOST_TEST((answer.kind == PacketKind::icmp_error));
    BOOST_TEST(answer.icmp_type == 3);
    BOOST_TEST(answer.icmp_code == 3);
    BOOST_TEST(lab.director.drops(DropReason::no_destination) == 1U);
}

BOOST_AUTO_TEST_CASE(a_packet_at_its_last_hop_is_answered) {
    OneService lab;
    const auto sent = lab.director.receive((ipv4(client, vip).ttl(1) / tcp(40000, 80).syn()).frame());
    BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
    const Parsed answer = parse(sent.frames[0], sent.frames[0].size());
    BOOST_TEST(answer.icmp_type == 11);
    BOOST_TEST(lab.director.drops(DropReason::ttl_exceeded) == 1U);
}

BOOST_AUTO_TEST_CASE(packets_of_a_deleted_destination_are_dropped) {
    OneService lab;
    lab.director.receive(syn());
    lab.slot->available = false;
    const Bytes data = (ipv4(client, vip) / tcp(40000, 80).ack()).frame();
    BOOST_TEST(lab.director.receive(data).frames.empty());
    BOOST_TEST(lab.director.drops(DropReason::destination_unavailable) == 1U);
    BOOST_TEST(lab.director.connections() == 1U);

    ipvs::Sysctls sysctls;
    sysctls.expire_nodest_conn = 1;
    lab.director.set(sysctls);
    BOOST_TEST(lab.director.receive(data).punted.size() == 1U);
    BOOST_TEST(lab.director.connections() == 0U);
    BOOST_TEST(lab.slot->totals.connections == 0U);
}

BOOST_AUTO_TEST_CASE(a_connection_ends_with_its_timeout_and_is_counted_off) {
    OneService lab;
    lab.director.receive(syn());
    lab.director.receive((ipv4(server_a, client) / tcp(8080, 40000).rst()).frame());
    BOOST_TEST(lab.slot->totals.active == 0U);  // CLOSE, ten seconds
    lab.director.advance(9);
    BOOST_TEST(lab.director.connections() == 1U);
    lab.director.advance(2);
    BOOST_TEST(lab.director.connections() == 0U);
    BOOST_TEST(lab.slot->totals.connections == 0U);
    BOOST_TEST(lab.slot->totals.active == 0U);
}

BOOST_AUTO_TEST_CASE(one_packet_scheduling_remembers_nothing) {
    Director director;
    director.add_local(vip);
    Service service = director.service(udp_number, vip, 53);
    service.flags.word |= ipvs::ServiceFlags::one_packet;
    director.add_destination(service, server_a, 53);
    director.add_destination(service, server_b, 53);
    director.publish(std::move(service));
    const Bytes query = (ipv4(client, vip) / udp(4000, 53) / payload(4)).frame();
    const auto first = director.receive(query);
    const auto second = director.receive(query);
    BOOST_TEST_REQUIRE(first.frames.size() == 1U);
    BOOST_TEST_REQUIRE(second.frames.size() == 1U);
    BOOST_TEST((first.frames[0] != second.frames[0]));  // the next server, same client port
    BOOST_TEST(director.connections() == 0U);
    for (std::uint32_t id : {0U, 1U}) {
        BOOST_TEST(director.counters().destinations[id].connections.read() == 1U);
        BOOST_TEST(director.shared().configuration.destinations[id].totals.connections == 0U);
    }
}

// Linux: ip_vs_bind_dest. Only the socket options give a destination the flag.
BOOST_AUTO_TEST_CASE(a_one_packet_destination_is_not_remembered_for_udp) {
    for (const bool persistent : {false, true}) {
        Director director;
        director.add_local(vip);
        for (const std::uint8_t protocol : {udp_number, tcp_number}) {
            Service service = director.service(protocol, vip, 53);
            if (persistent) service.flags.word |= ipvs::ServiceFlags::persistent;
            service.persistence_timeout = 60 * ticks_per_second;
            director.add_destination(service, server_a, 53).one_packet = true;
            director.publish(std::move(service));
        }
        director.templates().reserve(16);
        for (int i = 0; i < 2; ++i) {
            director.receive((ipv4(client, vip) / udp(4000, 53) / payload(4)).frame());
        }
        BOOST_TEST(director.connections() == 0U);
        BOOST_TEST(director.templates().size() == 0U);
        BOOST_TEST(director.counters().destinations[0].connections.read() == 2U);
        director.receive((ipv4(client, vip) / tcp(4000, 53).syn()).frame());
        BOOST_TEST(director.connections() == 1U);
        BOOST_TEST(director.templates().size() == (persistent ? 1U : 0U));
    }
}

BOOST_AUTO_TEST_CASE(a_persistent_client_stays_with_its_server) {
    Director director;
    director.add_local(vip);
    Service service = director.service(tcp_number, vip, 80);
    service.flags.word |= ipvs::ServiceFlags::persistent;
    service.persistence_timeout = 60 * ticks_per_second;
    director.add_destination(service, server_a, 80);
    director.add_destination(service, server_b, 80);
    director.publish(std::move(service));
    director.templates().reserve(16);
    for (std::uint16_t port = 40000; port < 40008; ++port) director.receive(syn(port));
    const std::uint64_t a = director.counters().destinations[0].connections.read();
    const std::uint64_t b = director.counters().destinations[1].connections.read();
    BOOST_TEST(a + b == 8U);
    BOOST_TEST((a == 0 || b == 0));
    BOOST_TEST(director.templates().size() == 1U);
}

BOOST_AUTO_TEST_CASE(ah_and_esp_follow_the_key_exchange) {
    for (const std::uint8_t protocol : {std::uint8_t{50}, std::uint8_t{51}}) {
        Director director;
        director.add_local(vip);
        Service service = director.service(udp_number, vip, 500);
        director.add_destination(service, server_a, 500);
        director.publish(std::move(service));
        const Bytes sealed = (ipv4(client, vip).ttl(64).proto(protocol) / payload(40)).frame();
        BOOST_TEST(director.receive(sealed).punted.size() == 1U);
        director.receive((ipv4(client, vip) / udp(500, 500) / payload(8)).frame());
        const auto request = director.receive(sealed);
        BOOST_TEST_REQUIRE(request.frames.size() == 1U);
        BOOST_TEST((request.frames[0] == (ipv4(client, server_a).ttl(63).proto(protocol) / payload(40)).frame()));
        const auto reply = director.receive((ipv4(server_a, client).ttl(64).proto(protocol) / payload(40)).frame());
        BOOST_TEST_REQUIRE(reply.frames.size() == 1U);
        BOOST_TEST((reply.frames[0] == (ipv4(vip, client).ttl(63).proto(protocol) / payload(40)).frame()));
        // Fragments need not wait for each other.
        const auto piece = director.receive((ipv4(client, vip).fragment(1480, false).proto(protocol) / payload(40)).frame());
        BOOST_TEST(piece.frames.size() == 1U);
        // The timer is the key exchange's.
        director.advance(299);
        BOOST_TEST(director.receive(sealed).frames.size() == 1U);
        director.advance(299);
        BOOST_TEST(director.connections() == 1U);
    }
}

BOOST_AUTO_TEST_CASE(an_icmp_error_reaches_the_client_with_the_virtual_address) {
    OneService lab;
    lab.director.receive(syn());
    const auto error = (ipv4(server_a, client).ttl(64) / icmp(3, 3) /
                        raw((ipv4(client, server_a).ttl(63) / tcp(40000, 8080).syn()).bytes()))
                           .frame();
    const auto sent = lab.director.receive(error);
    BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
    const Parsed answer = parse(sent.frames[0], sent.frames[0].size());
    BOOST_TEST((answer.kind == PacketKind::icmp_error));
    BOOST_TEST((answer.flow4.source == client.v4()));
    BOOST_TEST((answer.flow4.destination == vip.v4()));
    BOOST_TEST(answer.flow4.destination_port.host() == 80);
}

BOOST_AUTO_TEST_CASE(fragments_are_put_together_for_the_look_up) {
    Director director;
    director.add_local(vip);
    Service service = director.service(udp_number, vip, 53);
    director.add_destination(service, server_a, 53);
    director.publish(std::move(service));
    const Bytes whole = (udp(4000, 53) / payload(1000)).bytes();
    const auto cut = [&whole](std::size_t from, std::size_t to, bool more) {
        const Bytes part(
            whole.begin() + static_cast<std::ptrdiff_t>(from), whole.begin() + static_cast<std::ptrdiff_t>(to)
        );
        return (ipv4(client, vip).id(77).fragment(from, more).proto(udp_number) / raw(part, udp_number)).frame();
    };
    BOOST_TEST(director.receive(cut(504, whole.size(), false)).frames.empty());
    const auto sent = director.receive(cut(0, 504, true));
    BOOST_TEST(!sent.frames.empty());
    BOOST_TEST(director.connections() == 1U);
    BOOST_TEST(director.counters().destinations[0].in_packets.read() == 1U);
}

BOOST_AUTO_TEST_CASE(both_directions_meet_on_the_owner_whatever_worker_receives) {
    OneService lab{4};
    for (std::uint16_t port = 40000; port < 40032; ++port) {
        const auto arrives = static_cast<WorkerId>(port % 4);
        const auto request = lab.director.receive(syn(port), arrives);
        BOOST_TEST_REQUIRE(request.frames.size() == 1U);
        const WorkerId owner = lab.director.shared().steering.owner(client.v4(), net::Port{port});
        for (WorkerId other = 0; other < 4; ++other) {
            const auto reply = lab.director.receive(
                (ipv4(server_a, client).ttl(64) / tcp(8080, port).ack()).frame(), other
            );
            BOOST_TEST_REQUIRE(reply.frames.size() == 1U);
            BOOST_TEST((reply.frames[0] == (ipv4(vip, client).ttl(63) / tcp(80, port).ack()).frame()));
        }
        BOOST_TEST(lab.director.connections(owner) != 0U);
    }
    std::uint32_t all = 0;
    for (WorkerId id = 0; id < 4; ++id) all += lab.director.connections(id);
    BOOST_TEST(all == 32U);
    BOOST_TEST(lab.slot->totals.connections == 32U);
}

BOOST_AUTO_TEST_CASE(only_frames_for_this_host_are_balanced) {
    constexpr net::MacAddress own{{0x02, 0, 0, 0, 0, 0x02}};
    constexpr net::MacAddress virtual_router{{0x00, 0x00, 0x5E, 0x00, 0x01, 0x33}};
    OneService lab;
    lab.director.set_port_mac(own);
    lab.director.receive_also(virtual_router, {});
    lab.director.receive_also(own, {tag_code(0x8100, 7)});
    const auto request = [](const auto& link_layer, std::uint16_t port) {
        return (link_layer / ipv4(client, vip).ttl(64) / tcp(port, 80).syn()).frame();
    };
    const struct {
        const char* name;
        Bytes frame;
        bool balanced;
    } rows[]{
        {"its own address", request(ethernet(), 1), true},
        {"a virtual router's", request(ethernet(virtual_router), 2), true},
        {"a VLAN with a device", request(ethernet() / vlan(0xE007), 3), true},
        {"priority only", request(ethernet() / vlan(0xE000), 4), true},
        {"another host's", request(ethernet({{0x02, 0, 0, 0, 0, 0x99}}), 5), false},
        {"a VLAN without a device", request(ethernet() / vlan(8), 6), false},
        {"a virtual router's in a VLAN", request(ethernet(virtual_router) / vlan(7), 7), false},
        {"two tags", request(ethernet() / vlan(7) / vlan(7), 8), false},
        {"broadcast", request(ethernet({{255, 255, 255, 255, 255, 255}}), 9), false},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto sent = lab.director.receive(row.frame);
            BOOST_TEST(sent.frames.size() == (row.balanced ? 1U : 0U));
            BOOST_TEST(sent.punted.size() == (row.balanced ? 0U : 1U));
            if (row.balanced) continue;
            BOOST_TEST((sent.punted.front() == row.frame));
        }
    }
}

BOOST_AUTO_TEST_CASE(a_known_connection_is_not_served_from_frames_for_another_host) {
    OneService lab;
    lab.director.set_port_mac({{0x02, 0, 0, 0, 0, 0x02}});
    BOOST_TEST(lab.director.receive(syn()).frames.size() == 1U);
    const auto flooded = lab.director.receive(
        (ethernet({{0x02, 0, 0, 0, 0, 0x99}}) / ipv4(client, vip).ttl(64) / tcp(40000, 80).ack()).frame()
    );
    BOOST_TEST(flooded.frames.empty());
    BOOST_TEST(flooded.punted.size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_tag_is_taken_off_and_another_put_on) {
    OneService lab;
    lab.director.set_port_mac({{0x02, 0, 0, 0, 0, 0x02}});
    lab.director.receive_also({{0x02, 0, 0, 0, 0, 0x02}}, {tag_code(0x8100, 7)});
    lab.director.tag_neighbour(0x88A8, 100);
    const auto sent = lab.director.receive(
        (ethernet() / vlan(7) / ipv4(client, vip).ttl(64) / tcp(40000, 80).syn()).frame()
    );
    BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
    const Bytes expected =
        (ethernet() / vlan(100, 0x88A8) / ipv4(client, server_a).ttl(63) / tcp(40000, 8080).syn()).frame();
    BOOST_TEST((sent.frames[0] == expected));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
