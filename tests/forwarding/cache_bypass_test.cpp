#include <boost/test/unit_test.hpp>

#include <cstring>
#include <vector>

#include "compat/net/ip_address.hpp"
#include "forwarding/connections/connection_list.hpp"
#include "forwarding/pipeline.hpp"
#include "tests/support/director.hpp"

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

constexpr std::uint32_t mark = 7;
const auto client = "10.0.0.100"_ip;
const auto origin = "198.51.100.1"_ip;
const auto vip = "203.0.113.10"_ip;

/// A cluster of transparent caches, none of them left: every packet has the mark that leads to it.
struct Cluster {
    explicit Cluster(std::int32_t cache_bypass = 1, std::uint32_t flags = 0) {
        Service service = director.service(net::Family::inet, mark);
        service.flags.word = flags;
        director.publish(std::move(service));
        std::vector<std::byte> constants(8);
        std::memcpy(constants.data() + 4, &mark, sizeof(mark));
        director.set_marks(
            {{.operation = MarkOperation::change_mark},
             {.operation = MarkOperation::route},
             {.operation = MarkOperation::finish}},
            constants
        );
        director.lead_to_host(mark);
        director.add_local(vip);
        director.set_own_addresses("10.0.0.1"_ip, "2001:db8::1"_ip);
        ipvs::Sysctls sysctls;
        sysctls.cache_bypass = cache_bypass;
        director.set(sysctls);
    }

    Director director;
};

Bytes syn(std::uint8_t ttl) { return (ipv4(client, origin).ttl(ttl) / tcp(4000, 80).syn()).frame(); }

}  // namespace

BOOST_FIXTURE_TEST_SUITE(cache_bypass_test, EalFixture)

BOOST_AUTO_TEST_CASE(packets_go_on_to_where_they_wanted) {
    Cluster cluster;
    const auto sent = cluster.director.receive(syn(64));
    BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
    BOOST_TEST((sent.frames[0] == syn(63)));
    BOOST_TEST(cluster.director.connections() == 1U);
    // Its answer passes by, routed by whoever routes here.
    const auto reply = cluster.director.receive((ipv4(origin, client) / tcp(80, 4000).syn().ack()).frame());
    BOOST_TEST(reply.punted.size() + reply.frames.size() == 1U);
    const Bytes later = (ipv4(client, origin).ttl(9) / tcp(4000, 80).ack() / payload(100)).frame();
    const auto data = cluster.director.receive(later);
    BOOST_TEST_REQUIRE(data.frames.size() == 1U);
    BOOST_TEST((data.frames[0] == (ipv4(client, origin).ttl(8) / tcp(4000, 80).ack() / payload(100)).frame()));
    BOOST_TEST(cluster.director.connections() == 1U);
    cluster.director.advance(2000);
    BOOST_TEST(cluster.director.connections() == 0U);
}

BOOST_AUTO_TEST_CASE(hop_count_and_mtu_are_looked_at_as_everywhere) {
    Cluster cluster;
    const auto expired = cluster.director.receive(syn(1));
    BOOST_TEST_REQUIRE(expired.frames.size() == 1U);
    BOOST_TEST(std::to_integer<int>(expired.frames[0][34]) == 11);
    cluster.director.add_narrow_route({origin, 32}, 1000);
    const auto big = cluster.director.receive(
        (ipv4(client, origin).df() / tcp(4000, 80).syn() / payload(1200)).frame()
    );
    BOOST_TEST_REQUIRE(big.frames.size() == 1U);
    BOOST_TEST(std::to_integer<int>(big.frames[0][34]) == 3);
    const auto pieces = cluster.director.receive(
        (ipv4(client, origin) / tcp(4000, 80).syn() / payload(1200)).frame()
    );
    BOOST_TEST(pieces.frames.size() == 2U);
}

BOOST_AUTO_TEST_CASE(only_what_is_for_another_host_goes_around_and_only_if_asked) {
    Cluster off{0};
    const auto refused = off.director.receive(syn(64));
    BOOST_TEST_REQUIRE(refused.frames.size() == 1U);
    BOOST_TEST(std::to_integer<int>(refused.frames[0][34]) == 3);
    BOOST_TEST(off.director.drops(DropReason::no_destination) == 1U);
    Cluster on;
    on.director.receive((ipv4(client, vip) / tcp(4000, 80).syn()).frame());
    BOOST_TEST(on.director.drops(DropReason::no_destination) == 1U);
    BOOST_TEST(on.director.connections() == 0U);
}

BOOST_AUTO_TEST_CASE(one_packet_services_remember_nothing) {
    Cluster cluster{1, ipvs::ServiceFlags::one_packet};
    const auto sent = cluster.director.receive((ipv4(client, origin).ttl(64) / udp(4000, 53) / payload(8)).frame());
    BOOST_TEST_REQUIRE(sent.frames.size() == 1U);
    BOOST_TEST((sent.frames[0] == (ipv4(client, origin).ttl(63) / udp(4000, 53) / payload(8)).frame()));
    BOOST_TEST(cluster.director.connections() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
