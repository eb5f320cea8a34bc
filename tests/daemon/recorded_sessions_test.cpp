#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "compat/procfs/sysctl.hpp"
#include "tests/support/comparable.hpp"
#include "tests/support/corpus.hpp"
#include "tests/support/packet_builder.hpp"
#include "tests/support/stage.hpp"

/// Sessions of a director with the kernel's IPVS, recorded on both of its links by
/// tests/kernel/datapath, replayed through the control plane and the pipeline. tests/corpus/sessions
/// has one file for each forwarding method and family:
///
///   scenario NAME
///   ipvsadm ARGUMENTS, sysctl NAME VALUE, mark NUMBER
///   mtu client|server MTU, link client|server MTU      of the routes to that side, of the link
///   client OCTETS, server OCTETS          a packet arrives from that side, from the IP header on
///   sent client|server OCTETS             what the director sent then
///   host COUNT                            … and how many packets went to the host's own stack
///
/// sessions-that-differ.txt names the scenarios that are meant to differ: docs/deviations.md.
///
/// After each packet nlvs must have sent what the kernel sent, octet for octet but for comparable().
/// What it hands to the kernel is counted if it is for the host, and otherwise routed, as there.
namespace nlvs::daemon {
namespace {

using namespace test;

class Arguments {
public:
    explicit Arguments(std::istream& words) {
        for (std::string word; words >> word;) words_.push_back(word);
    }

    bool has(const std::string& name) const { return at(name) != words_.size(); }

    std::string of(const std::string& name, std::string otherwise = {}) const {
        const std::size_t i = at(name);
        return i + 1 < words_.size() ? words_[i + 1] : otherwise;
    }

    std::uint32_t number(const std::string& name, const char* otherwise) const {
        return static_cast<std::uint32_t>(std::stoul(of(name, otherwise)));
    }

private:
    std::size_t at(const std::string& name) const {
        return static_cast<std::size_t>(std::ranges::find(words_, name) - words_.begin());
    }

    std::vector<std::string> words_;
};

ipvs::DestinationKey endpoint(const std::string& text) {
    const auto colon = text.rfind(':');
    std::string address = text.substr(0, colon);
    if (address.front() == '[') address = address.substr(1, address.size() - 2);
    const auto port = static_cast<std::uint16_t>(std::stoi(text.substr(colon + 1)));
    return {net::parse_ip_address(address).value(), net::Port{port}};
}

ipvs::ServiceKey service_key(const Arguments& a) {
    if (a.has("-f")) {
        return ipvs::FirewallMarkKey{
            a.has("-6") ? net::Family::inet6 : net::Family::inet, a.number("-f", "0")
        };
    }
    for (const auto& [flag, protocol] : std::map<std::string, std::uint16_t>{
             {"-t", 6}, {"-u", 17}, {"--sctp-service", 132}
         }) {
        if (!a.has(flag)) continue;
        const auto [address, port] = endpoint(a.of(flag));
        return ipvs::EndpointKey{protocol, address, port};
    }
    throw std::invalid_argument{"no service"};
}

ipvs::ServiceSpec service_spec(const Arguments& a, net::Family family) {
    ipvs::ServiceSpec spec;
    spec.scheduler = a.of("-s", "wlc");
    if (a.has("-p")) {
        spec.flags.word |= ipvs::ServiceFlags::persistent;
        spec.timeout = a.number("-p", "300");
    }
    if (a.has("--pe")) spec.persistence_engine = a.of("--pe");
    if (a.has("-o")) spec.flags.word |= ipvs::ServiceFlags::one_packet;
    if (family == net::Family::inet6) {
        spec.netmask = a.number("-M", "128");
    } else if (a.has("-M")) {
        spec.netmask = net::parse_ip_address(a.of("-M")).value().v4().wire().wire();
    }
    return spec;
}

ipvs::DestinationSpec destination_spec(const Arguments& a) {
    ipvs::DestinationSpec spec;
    spec.key = endpoint(a.of("-r"));
    spec.forwarding = a.has("-m") ? 0 : a.has("-i") ? 2 : 3;
    spec.weight = static_cast<std::int32_t>(a.number("-w", "1"));
    spec.upper_threshold = a.number("-x", "0");
    spec.lower_threshold = a.number("-y", "0");
    const std::string tunnel = a.of("--tun-type", "ipip");
    spec.tunnel.type = tunnel == "gre"   ? ipvs::TunnelType::gre
                       : tunnel == "gue" ? ipvs::TunnelType::gue
                                         : ipvs::TunnelType::ipip;
    spec.tunnel.port = net::Port{static_cast<std::uint16_t>(a.number("--tun-port", "0"))};
    if (a.has("--tun-csum")) spec.tunnel.flags = 1;
    if (a.has("--tun-remcsum")) spec.tunnel.flags = 2;
    return spec;
}

class Session {
public:
    void command(const std::string& verb, std::istream& words) {
        if (verb == "ipvsadm") return ipvsadm(Arguments{words});
        std::string name, value;
        words >> name >> value;
        if (verb == "sysctl") {
            auto values = stage_.control().sysctls();
            const auto* sysctl = procfs::find_sysctl(name);
            BOOST_TEST_REQUIRE(sysctl != nullptr);
            BOOST_TEST_REQUIRE(procfs::write(*sysctl, value, values).has_value());
            stage_.control().set_sysctls(values);
        } else if (verb == "mtu" || verb == "link") {
            const auto side = name == "server" ? Stage::Side::servers : Stage::Side::clients;
            const auto mtu = static_cast<std::uint16_t>(std::stoi(value));
            verb == "mtu" ? stage_.set_route_mtu(side, mtu) : stage_.set_link_mtu(side, mtu);
        } else if (verb == "mark") {
            stage_.set_mark(static_cast<std::uint32_t>(std::stoul(name)));
        } else {
            BOOST_FAIL("what is " + verb);
        }
    }

    /// What became of a packet.
    struct Outcome {
        std::vector<Bytes> sent;
        std::size_t for_host = 0;
    };

    Outcome receive(const Bytes& packet) {
        const bool v4 = number(packet, 0) >> 4 == 4;
        stage_.arrive({.frame = (ethernet().type(v4 ? 0x0800 : 0x86DD) / raw(packet)).bytes()});
        auto sent = stage_.deliver();
        stage_.collect();
        Outcome outcome;
        for (const Bytes& frame : sent.frames) {
            outcome.sent.push_back(comparable(Bytes(frame.begin() + 14, frame.end())));
        }
        for (const Bytes& frame : sent.punted) {
            Bytes punted(frame.begin() + 14, frame.end());
            if (is_for_host(punted)) {
                ++outcome.for_host;
            } else {
                outcome.sent.push_back(comparable(routed(std::move(punted))));
            }
        }
        return outcome;
    }

private:
    void ipvsadm(const Arguments& a) {
        auto& control = stage_.control();
        const auto key = service_key(a);
        const auto family = ipvs::family_of(key);
        const bool done = a.has("-A")   ? control.add_service(key, service_spec(a, family)).has_value()
                          : a.has("-D") ? control.remove_service(key).has_value()
                          : a.has("-a") ? control.add_destination(key, destination_spec(a)).has_value()
                          : a.has("-e") ? control.edit_destination(key, destination_spec(a)).has_value()
                                        : control.remove_destination(key, endpoint(a.of("-r"))).has_value();
        BOOST_TEST_REQUIRE(done);
        stage_.collect();
    }

    static bool is_for_host(const Bytes& packet) {
        const bool v4 = number(packet, 0) >> 4 == 4;
        if (v4) return number(packet, 19) == 1 || number(packet, 19) == 10;
        return number(packet, 39) == 1 || number(packet, 39) == 0x10;
    }

    /// As a router sends it on.
    static Bytes routed(Bytes packet) {
        const bool v4 = number(packet, 0) >> 4 == 4;
        const std::size_t at = v4 ? 8 : 7;
        packet[at] = static_cast<std::byte>(number(packet, at) - 1);
        if (!v4) return packet;
        const std::size_t header = (number(packet, 0) & 15) * 4;
        builder::set16(packet, 10, 0);
        builder::set16(packet, 10, builder::internet_checksum(std::span{packet}.first(header)));
        return packet;
    }

    Stage stage_{1, 1024};
};

/// A packet, and what the kernel made of it, until the next line that is neither.
struct Exchange {
    Bytes packet;
    std::vector<Bytes> sent;
    std::size_t for_host = 0;
};

bool is_known(const std::string& name) {
    static const auto ends = [] {
        std::vector<std::string> lines;
        std::ifstream file{test::corpus() / "sessions-that-differ.txt"};
        for (std::string line; std::getline(file, line);) {
            const bool is_other = line.empty() || line.starts_with('#') || line.starts_with("live ");
            if (!is_other) lines.push_back(line);
        }
        return lines;
    }();
    return std::ranges::any_of(ends, [&](const std::string& end) { return name.ends_with(end); });
}

/// True if nlvs did something else. Reported unless that is `known`.
bool judge(Session& session, std::optional<Exchange>& exchange, bool known) {
    if (!exchange) return false;
    const auto outcome = session.receive(exchange->packet);
    // The kernel's stack counts a datagram that came in pieces as one.
    const std::size_t for_host = outcome.for_host > 1 ? 1 : outcome.for_host;
    const auto words = differences(outcome.sent, exchange->sent);
    const bool differs = for_host != exchange->for_host || !words.empty();
    BOOST_TEST_CONTEXT("packet " << hex(exchange->packet)) {
        if (!known) BOOST_TEST(for_host == exchange->for_host);
        for (const auto& one : words) {
            if (!known) BOOST_ERROR(one);
        }
    }
    exchange.reset();
    return differs;
}

std::size_t replay(const std::filesystem::path& path) {
    std::ifstream file{path};
    std::optional<Session> session;
    std::optional<Exchange> exchange;
    std::string name;
    std::size_t scenarios = 0;
    bool differed = false;
    const auto finish = [&] {
        BOOST_TEST_CONTEXT(name) {
            if (session) differed |= judge(*session, exchange, is_known(name));
        }
    };
    const auto finish_scenario = [&] {
        finish();
        BOOST_TEST_CONTEXT(name) {
            BOOST_TEST(differed == is_known(name));
        }
        differed = false;
    };
    for (std::string line; std::getline(file, line);) {
        std::istringstream words{line};
        std::string verb;
        if (!(words >> verb) || verb == "#") continue;
        if (verb == "sent") {
            words >> verb;
            exchange->sent.push_back(comparable(recorded_octets(words)));
            continue;
        }
        if (verb == "host") {
            words >> exchange->for_host;
            continue;
        }
        if (verb == "scenario") {
            finish_scenario();
            words >> name;
            session.emplace();
            ++scenarios;
        } else if (verb == "client" || verb == "server") {
            finish();
            exchange.emplace().packet = recorded_octets(words);
        } else {
            finish();
            BOOST_TEST_CONTEXT(name) { session->command(verb, words); }
        }
    }
    finish_scenario();
    return scenarios;
}

}  // namespace

BOOST_FIXTURE_TEST_SUITE(recorded_sessions_test, EalFixture)

BOOST_AUTO_TEST_CASE(the_director_does_with_each_packet_what_the_kernel_did) {
    std::size_t scenarios = 0;
    for (const auto& entry : std::filesystem::directory_iterator{test::corpus() / "sessions"}) {
        scenarios += replay(entry.path());
    }
    BOOST_TEST(scenarios >= 140U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::daemon
