#include <boost/test/unit_test.hpp>
#include <rte_thash.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include "compat/net/ip_address.hpp"
#include "forwarding/nic/buffer_pool.hpp"
#include "forwarding/nic/ethernet_port.hpp"
#include "forwarding/pipeline.hpp"
#include "tests/support/director.hpp"

namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

constexpr std::uint16_t workers = 4;
constexpr std::uint16_t entries = 128;

/// A NIC that chooses queues by one side's address and port, its hash by DPDK's reference.
class ModelNic {
public:
    explicit ModelNic(ReceiveHash hash) : hash_{hash} {
        for (std::uint16_t entry = 0; entry < entries; ++entry) queues_.push_back(entry % workers);
    }

    WorkerId queue(const Bytes& frame) const {
        const bool v4 = frame[12] == std::byte{0x08};
        const std::size_t length = v4 ? 4 : 16;
        const std::size_t source = 14 + (v4 ? 12 : 8);
        const bool by_source = hash_ == ReceiveHash::source;
        const std::size_t address = by_source ? source : source + length;
        const std::size_t port = 14 + (v4 ? 20 : 40) + (by_source ? 0 : 2);
        Bytes octets(frame.begin() + static_cast<long>(address), frame.begin() + static_cast<long>(address + length));
        octets.insert(octets.end(), {frame[port], frame[port + 1]});
        octets.resize((octets.size() + 3) / 4 * 4);  // trailing zeros do not change the hash
        std::vector<std::uint32_t> words;
        for (std::size_t i = 0; i < octets.size(); i += 4) {
            std::uint32_t word = 0;
            for (std::size_t j = i; j < i + 4; ++j) word = word << 8 | std::to_integer<std::uint32_t>(octets[j]);
            words.push_back(word);
        }
        const std::uint32_t hash = rte_softrss(
            words.data(), static_cast<std::uint32_t>(words.size()), Toeplitz::default_key.data()
        );
        return queues_[hash % entries];
    }

private:
    ReceiveHash hash_;
    std::vector<WorkerId> queues_;
};

struct Site {
    net::IpAddress vip, server;
    std::array<net::IpAddress, 3> clients;
};

const Site site_v4{
    "203.0.113.10"_ip, "192.168.1.2"_ip, {"10.0.0.100"_ip, "10.0.7.1"_ip, "198.51.100.77"_ip}};
const Site site_v6{
    "2001:db8::10"_ip, "2001:db8:1::2"_ip,
    {"2001:db8::100"_ip, "2001:db8:5::1"_ip, "2001:db8:ffff::77"_ip}};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(receive_hash_test, EalFixture)

BOOST_AUTO_TEST_CASE(nothing_is_handed_over_where_nics_hash_by_the_client) {
    Director director{Steering{workers, RedirectionTable{entries, workers}}};
    const ModelNic towards_clients{ReceiveHash::source}, towards_servers{ReceiveHash::destination};
    std::set<WorkerId> busy;
    std::uint32_t opened = 0;
    for (const bool v4 : {true, false}) {
        const Site& site = v4 ? site_v4 : site_v6;
        director.add_local(site.vip);
        Service service = director.service(6, site.vip, 80);
        director.add_destination(service, site.server, 8080);
        director.publish(std::move(service));
        for (const auto& client : site.clients) {
            for (std::uint16_t port = 40000; port < 40040; ++port) {
                const auto frame = [&](const auto& from, const auto& to, const auto& segment) {
                    return v4 ? (ipv4(from, to).ttl(64) / segment).frame()
                              : (ipv6(from, to).hop_limit(64) / segment).frame();
                };
                const Bytes syn = frame(client, site.vip, tcp(port, 80).syn());
                const Bytes reply = frame(site.server, client, tcp(8080, port).syn().ack());
                const WorkerId owner = towards_clients.queue(syn);
                BOOST_TEST_REQUIRE(director.receive(syn, owner).frames.size() == 1U);
                BOOST_TEST_REQUIRE(towards_servers.queue(reply) == owner);
                BOOST_TEST_REQUIRE(director.receive(reply, owner).frames.size() == 1U);
                busy.insert(owner);
                ++opened;
            }
        }
    }
    std::uint32_t connections = 0;
    for (WorkerId id = 0; id < workers; ++id) {
        BOOST_TEST(director.counters(id).taken_over.read() == 0U);
        connections += director.connections(id);
    }
    BOOST_TEST(connections == opened);
    BOOST_TEST(busy.size() == workers);
}

/// A driver's input may be arranged in another way: that costs hand-overs, not flows.
BOOST_AUTO_TEST_CASE(a_nic_that_chooses_otherwise_loses_nothing) {
    Director director{Steering{workers, RedirectionTable{entries, workers}}};
    director.add_local(site_v4.vip);
    Service service = director.service(6, site_v4.vip, 80);
    director.add_destination(service, site_v4.server, 8080);
    director.publish(std::move(service));
    std::uint64_t handed_over = 0;
    for (std::uint16_t port = 40000; port < 40040; ++port) {
        const auto& client = site_v4.clients[0];
        const auto anywhere = static_cast<WorkerId>(port % workers);
        const Bytes syn = (ipv4(client, site_v4.vip).ttl(64) / tcp(port, 80).syn()).frame();
        const Bytes reply = (ipv4(site_v4.server, client).ttl(64) / tcp(8080, port).syn().ack()).frame();
        BOOST_TEST_REQUIRE(director.receive(syn, anywhere).frames.size() == 1U);
        BOOST_TEST_REQUIRE(director.receive(reply, static_cast<WorkerId>(3 - anywhere)).frames.size() == 1U);
    }
    for (WorkerId id = 0; id < workers; ++id) handed_over += director.counters(id).taken_over.read();
    BOOST_TEST(handed_over > 0U);
}

BOOST_AUTO_TEST_CASE(tables_of_different_sizes_lead_to_the_same_queues) {
    const RedirectionTable table{128, 6};
    for (std::uint32_t hash = 0; hash < 4096; ++hash) {
        // What a NIC with 512 entries finds at the place that the hash's low bits say.
        BOOST_TEST(table.queue(hash % 512) == table.queue(hash));
        BOOST_TEST(table.queue(hash) < 6U);
    }
}

BOOST_AUTO_TEST_CASE(a_driver_that_cannot_is_named) {
    BufferPool buffers{{.count = 1023}};
    EthernetPortSettings settings{.device = "net_null_hash0", .queues = 2};
    EthernetPort both{settings, buffers};
    BOOST_TEST(both.redirection_entries() != 0U);
    both.redirect(RedirectionTable{64, 2});
    settings.device = "net_null_hash1";
    settings.hash = ReceiveHash::source;
    const auto start = [&] { EthernetPort{settings, buffers}.start(); };
    BOOST_CHECK_EXCEPTION(start(), std::runtime_error, [](const std::runtime_error& error) {
        return std::string_view{error.what()}.starts_with("port net_null_hash1 cannot hash by one side");
    });
    settings.queues = 1;  // one worker has nothing to choose
    settings.device = "net_null_hash2";
    start();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
