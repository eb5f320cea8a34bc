#include <boost/test/unit_test.hpp>

#include <set>
#include <string>

#include "compat/net/ip_address.hpp"
#include "forwarding/pipeline.hpp"
#include "tests/support/director.hpp"

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

constexpr std::uint8_t udp_number = 17;
const auto client = "10.0.0.100"_ip;
const auto vip = "203.0.113.10"_ip;
const auto server_a = "192.168.1.2"_ip;
const auto server_b = "192.168.1.3"_ip;

/// A director with a SIP service and two servers.
struct Exchange {
    explicit Exchange(std::uint32_t flags = 0) {
        director.add_local(vip);
        Service service = director.service(udp_number, vip, 5060);
        service.flags.word = ipvs::ServiceFlags::persistent | flags;
        service.persistence_timeout = 60 * ticks_per_second;
        service.by_call_id = true;
        director.add_destination(service, server_a, 5060);
        director.add_destination(service, server_b, 5060);
        for (const auto& one : service.destinations) director.add_calling_server(service, one);
        director.publish(std::move(service));
    }

    Director director;
};

Layer message(const std::string& call) {
    const std::string text = "OPTIONS sip:x SIP/2.0\r\nCall-ID: " + call + "\r\n\r\n";
    Bytes bytes;
    for (const char c : text) bytes.push_back(static_cast<std::byte>(c));
    return raw(bytes);
}

Bytes request(std::uint16_t port, const std::string& call) {
    return (ipv4(client, vip).ttl(64) / udp(port, 5060) / message(call)).frame();
}

/// Which server the only frame went to.
std::byte last_octet(const Director::Sent& sent) {
    BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
    return sent.frames[0][33];
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(sip_test, EalFixture)

BOOST_AUTO_TEST_CASE(a_call_stays_with_its_server_whatever_its_port) {
    Exchange exchange;
    std::set<std::byte> servers;
    for (const char* call : {"alpha@h", "beta@h"}) {
        const std::byte first = last_octet(exchange.director.receive(request(4000, std::string{call} + "x")));
        servers.insert(first);
        for (std::uint16_t port = 4001; port < 4010; ++port) {
            BOOST_TEST((last_octet(exchange.director.receive(request(port, std::string{call} + "x"))) == first));
            exchange.director.advance(1);
        }
        exchange.director.advance(400);
    }
    BOOST_TEST(servers.size() == 2U);
}

BOOST_AUTO_TEST_CASE(what_names_no_call_is_dropped_in_silence) {
    Exchange exchange;
    const auto sent = exchange.director.receive((ipv4(client, vip) / udp(4000, 5060) / payload(20)).frame());
    BOOST_TEST((sent.frames.empty() && sent.punted.empty()));
    BOOST_TEST(exchange.director.drops(DropReason::persistence_engine) == 1U);
}

BOOST_AUTO_TEST_CASE(a_server_may_begin_a_call_and_is_asked_in_it) {
    Exchange exchange;
    const auto call = (ipv4(server_b, client).ttl(64) / udp(5060, 4000) / message("gamma@h")).frame();
    const auto sent = exchange.director.receive(call);
    BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
    BOOST_TEST((sent.frames[0] == (ipv4(vip, client).ttl(63) / udp(5060, 4000) / message("gamma@h")).frame()));
    BOOST_TEST(exchange.director.connections() == 1U);
    for (std::uint16_t port = 4000; port < 4004; ++port) {
        const auto answer = exchange.director.receive(request(port, "gamma@h"));
        BOOST_TEST((last_octet(answer) == std::byte{3}));
    }
}

BOOST_AUTO_TEST_CASE(answers_of_one_packet_services_are_translated_as_calls_of_the_server) {
    Exchange exchange{ipvs::ServiceFlags::one_packet};
    const std::byte server = last_octet(exchange.director.receive(request(4000, "delta@h")));
    const auto& from = server == std::byte{2} ? server_a : server_b;
    const auto sent =
        exchange.director.receive((ipv4(from, client).ttl(64) / udp(5060, 4000) / message("delta@h")).frame());
    BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
    BOOST_TEST((sent.frames[0] == (ipv4(vip, client).ttl(63) / udp(5060, 4000) / message("delta@h")).frame()));
    BOOST_TEST(exchange.director.connections() == 0U);
    std::uint64_t opened = 0;
    for (std::uint32_t i = 0; i < 2; ++i) opened += exchange.director.counters().destinations[i].read().connections;
    BOOST_TEST(opened == 2U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
