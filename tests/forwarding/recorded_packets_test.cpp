#include <boost/test/unit_test.hpp>

#include <algorithm>
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
#include "tests/support/corpus.hpp"
#include "tests/support/director.hpp"

/// Packets at a director with the kernel's IPVS, recorded on both of its sides, replayed through the
/// pipeline. tests/corpus/datapath has one file for each forwarding method and family:
///
///   scenario NAME
///   service tcp|udp ADDRESS PORT
///   server masquerade|direct|tunnel ADDRESS PORT [ipip|gue|gre] [TUNNEL-PORT] [weight WEIGHT]
///   mtu client|server MTU                 of the route to that side
///   in HEX, out HEX                       from the IP header on; xx+N: xx and N bytes that each
///                                         are one more than the one before
///
/// What came out must be what the kernel sent, byte for byte but for mask(), in any order.
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

Bytes decode(std::istream& words) {
    Bytes bytes;
    std::string word;
    while (words >> word) {
        const auto plus = word.find('+');
        const std::string hex = word.substr(0, plus);
        for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
            bytes.push_back(static_cast<std::byte>(std::stoi(hex.substr(i, 2), nullptr, 16)));
        }
        if (plus == std::string::npos) continue;
        for (int left = std::stoi(word.substr(plus + 1)); left > 0; --left) {
            bytes.push_back(static_cast<std::byte>(std::to_integer<int>(bytes.back()) + 1));
        }
    }
    return bytes;
}

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
            (verb == "in" ? scenario.in : scenario.out).push_back(decode(words));
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

void clear(Bytes& bytes, std::size_t at, std::size_t count) {
    for (std::size_t i = at; i < std::min(at + count, bytes.size()); ++i) bytes[i] = std::byte{0};
}

std::size_t number(const Bytes& bytes, std::size_t at) {
    return at < bytes.size() ? std::to_integer<std::size_t>(bytes[at]) : 0;
}

/// Takes out what cannot be the same twice, on the kernel neither:
///   identification of IPv4 packets that the director makes (errors, tunnel headers), which Linux
///     draws, and the header checksum with it;
///   flow label of IPv6 packets that the director makes, a hash with a secret of Linux;
///   identification of IPv6 fragments, which is to be unpredictable;
///   UDP source port of GUE, a hash of the flow inside.
Bytes mask(Bytes packet) {
    const bool v4 = number(packet, 0) >> 4 == 4;
    const std::size_t protocol = v4 ? number(packet, 9) : number(packet, 6);
    const bool gue = protocol == 17 && number(packet, v4 ? 22 : 42) == 6080 >> 8 &&
                     number(packet, v4 ? 23 : 43) == (6080 & 0xFF);
    const bool tunnel = protocol == 4 || protocol == 41 || protocol == 47 || gue;
    if (v4) {
        const bool error_of_director = protocol == 1 && number(packet, 1) == 0xC0;
        // A later fragment of a tunnel packet has no UDP header, but the director's address.
        const Bytes own{std::byte{192}, std::byte{168}, std::byte{1}, std::byte{1}};
        const bool of_director = std::equal(own.begin(), own.end(), packet.begin() + 12);
        if (tunnel || of_director || error_of_director) {
            clear(packet, 4, 2);
            clear(packet, 10, 2);
        }
    } else {
        constexpr std::size_t fragment = 44;
        if (tunnel || protocol == 58) {
            packet[1] &= std::byte{0xF0};
            clear(packet, 2, 2);
        }
        if (protocol == fragment) {
            packet[1] &= std::byte{0xF0};
            clear(packet, 2, 2);
            clear(packet, 44, 4);
        }
        // The checksum of ICMPv6 does not cover the flow label.
    }
    if (gue) clear(packet, v4 ? 20 : 40, 2);
    return packet;
}

std::string hex(const Bytes& bytes) {
    std::ostringstream out;
    out << std::hex;
    for (std::size_t i = 0; i < std::min<std::size_t>(bytes.size(), 96); ++i) {
        out << (number(bytes, i) < 16 ? "0" : "") << number(bytes, i);
    }
    out << std::dec << " (" << bytes.size() << ')';
    return out.str();
}

void compare(std::vector<Bytes> sent, std::vector<Bytes> recorded) {
    std::ranges::sort(sent);
    std::ranges::sort(recorded);
    std::vector<Bytes> missing, surplus;
    std::ranges::set_difference(recorded, sent, std::back_inserter(missing));
    std::ranges::set_difference(sent, recorded, std::back_inserter(surplus));
    for (const Bytes& packet : missing) BOOST_ERROR("only the kernel sent " + hex(packet));
    for (const Bytes& packet : surplus) BOOST_ERROR("only nlvs sent      " + hex(packet));
}

void replay(const Scenario& scenario) {
    Stage stage{scenario};
    std::vector<Bytes> sent, recorded;
    std::size_t for_host = 0;
    for (const Bytes& packet : scenario.in) {
        const auto result = stage.receive(packet);
        for_host += result.punted.size();
        for (const Bytes& frame : result.frames) {
            sent.push_back(mask(Bytes(frame.begin() + 14, frame.end())));
        }
    }
    // What is no service's is answered by the host's own stack, with nlvs as in the kernel.
    if (scenario.name == "ping" || scenario.name == "ack") {
        BOOST_TEST(for_host == scenario.in.size());
        BOOST_TEST(sent.empty());
        return;
    }
    for (const Bytes& packet : scenario.out) recorded.push_back(mask(packet));
    compare(std::move(sent), std::move(recorded));
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
