#include <boost/test/unit_test.hpp>

#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "compat/net/ip_address.hpp"
#include "forwarding/pipeline.hpp"
#include "forwarding/transmit/tunnel.hpp"
#include "tests/support/comparable.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/director.hpp"

/// Packets at a director with the kernel's IPVS, recorded on both of its sides, replayed through the
/// pipeline. tests/corpus/datapath has one file for each forwarding method and family:
///
///   scenario NAME
///   service tcp|udp ADDRESS PORT
///   server masquerade|direct|tunnel ADDRESS PORT [ipip|gue|gre] [TUNNEL-PORT] [weight WEIGHT]
///   mtu client|server MTU                 of the route to that side
///   in HEX, out HEX                       from the IP header on, as recorded_octets()
///
/// What came out must be what the kernel sent, byte for byte but for comparable(), in any order.
namespace nlvs::forwarding {
namespace {

using net::operator""_ip;
using namespace test;

struct Server {
    std::string method;
    net::IpAddress address;
    std::uint16_t port = 0;
    ipvs::Tunnel tunnel;
    std::int32_t weight = 1;
};

struct RecordedService {
    std::uint8_t protocol = 0;
    net::IpAddress address;
    std::uint16_t port = 0;
    std::vector<Server> servers;
};

struct Scenario {
    std::string name;
    std::vector<RecordedService> services;
    std::map<std::string, std::uint16_t> mtus;
    std::vector<Bytes> in;
    std::vector<Bytes> out;
};

Server read_server(std::istream& words) {
    Server server;
    std::string address;
    words >> server.method >> address >> server.port;
    server.address = net::parse_ip_address(address).value();
    for (std::string word; words >> word;) {
        if (word == "weight") {
            words >> server.weight;
        } else if (word == "gue") {
            server.tunnel.type = ipvs::TunnelType::gue;
        } else if (word == "gre") {
            server.tunnel.type = ipvs::TunnelType::gre;
        } else if (word != "ipip") {
            server.tunnel.port = net::Port{static_cast<std::uint16_t>(std::stoi(word))};
        }
    }
    return server;
}

std::vector<Scenario> read_scenarios(const std::filesystem::path& path) {
    std::vector<Scenario> scenarios;
    std::ifstream file{path};
    for (std::string line; std::getline(file, line);) {
        std::istringstream words{line};
        std::string verb;
        if (!(words >> verb) || verb == "#") continue;
        if (verb == "scenario") {
            words >> scenarios.emplace_back().name;
            continue;
        }
        Scenario& scenario = scenarios.back();
        if (verb == "service") {
            RecordedService service;
            std::string protocol, address;
            words >> protocol >> address >> service.port;
            service.protocol = protocol == "tcp" ? 6 : 17;
            service.address = net::parse_ip_address(address).value();
            scenario.services.push_back(service);
        } else if (verb == "server") {
            scenario.services.back().servers.push_back(read_server(words));
        } else if (verb == "mtu") {
            std::string side;
            words >> side;
            words >> scenario.mtus[side];
        } else {
            (verb == "in" ? scenario.in : scenario.out).push_back(recorded_octets(words));
        }
    }
    return scenarios;
}

const auto client4 = "10.0.0.100"_ip;
const auto client6 = "2001:db8::100"_ip;

/// The recorded director: its services, addresses and routes.
class Stage {
public:
    explicit Stage(const Scenario& scenario) {
        for (const auto& own : {"10.0.0.1"_ip, "10.0.0.10"_ip, "192.168.1.1"_ip, "2001:db8::1"_ip,
                                "2001:db8::10"_ip, "2001:db8:1::1"_ip}) {
            director_.add_local(own);
        }
        director_.set_own_addresses("192.168.1.1"_ip, "2001:db8:1::1"_ip);
        if (const auto mtu = scenario.mtus.find("client"); mtu != scenario.mtus.end()) {
            director_.add_narrow_route({client4, 32}, mtu->second);
            director_.add_narrow_route({client6, 128}, mtu->second);
        }
        for (const RecordedService& recorded : scenario.services) add(scenario, recorded);
    }

    Director::Sent receive(const Bytes& packet) {
        const bool v4 = std::to_integer<int>(packet[0]) >> 4 == 4;
        return director_.receive((ethernet().type(v4 ? 0x0800 : 0x86DD) / raw(packet)).bytes());
    }

private:
    void add(const Scenario& scenario, const RecordedService& recorded) {
        Service service = director_.service(recorded.protocol, recorded.address, recorded.port);
        for (const Server& server : recorded.servers) {
            const auto method = server.method == "masquerade" ? ForwardingMethod::masquerade
                                : server.method == "direct"   ? ForwardingMethod::direct_route
                                                              : ForwardingMethod::tunnel;
            DestinationSlot& slot =
                director_.add_destination(service, server.address, server.port, method);
            slot.weight = server.weight;
            service.destinations.back().weight = server.weight;
            if (method == ForwardingMethod::tunnel) {
                const auto own = server.address.is_v4() ? "192.168.1.1"_ip : "2001:db8:1::1"_ip;
                headers_.push_back(build_tunnel_header(server.address, own, server.tunnel));
                slot.tunnel = &headers_.back();
            }
            if (const auto mtu = scenario.mtus.find("server"); mtu != scenario.mtus.end()) {
                slot.set_link_mtu(mtu->second);
            }
            if (scenario.name == "rs-noroute") slot.adjacency = nullptr;
        }
        director_.publish(std::move(service));
    }

    std::deque<TunnelHeader> headers_;
    Director director_;
};

void replay(const Scenario& scenario) {
    Stage stage{scenario};
    std::vector<Bytes> sent, recorded;
    std::size_t for_host = 0;
    for (const Bytes& packet : scenario.in) {
        const auto result = stage.receive(packet);
        for_host += result.punted.size();
        for (const Bytes& frame : result.frames) {
            sent.push_back(comparable(Bytes(frame.begin() + 14, frame.end())));
        }
    }
    // What is no service's is answered by the host's own stack, with nlvs as in the kernel.
    if (scenario.name == "ping" || scenario.name == "ack") {
        BOOST_TEST(for_host == scenario.in.size());
        BOOST_TEST(sent.empty());
        return;
    }
    for (const Bytes& packet : scenario.out) recorded.push_back(comparable(packet));
    for (const std::string& difference : differences(std::move(sent), std::move(recorded))) {
        BOOST_ERROR(difference);
    }
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(recorded_packets_test, EalFixture)

BOOST_AUTO_TEST_CASE(the_pipeline_sends_what_the_kernel_sent) {
    std::size_t scenarios = 0;
    for (const auto& entry : std::filesystem::directory_iterator{test::corpus() / "datapath"}) {
        for (const Scenario& scenario : read_scenarios(entry.path())) {
            BOOST_TEST_CONTEXT(entry.path().stem().string() << ' ' << scenario.name) { replay(scenario); }
            ++scenarios;
        }
    }
    BOOST_TEST(scenarios >= 131U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::forwarding
