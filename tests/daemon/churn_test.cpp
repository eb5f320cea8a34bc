#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cstdint>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/eal_fixture.hpp"
#include "tests/support/packet_builder.hpp"
#include "tests/support/stage.hpp"

/// Services and destinations come, change and go while a worker forwards for them on a thread of its
/// own. What a packet must not see, a freed object, the sanitizers see.
namespace nlvs::daemon {
namespace {

using net::operator""_ip;
using namespace test;

constexpr int edits = 1500;
constexpr std::uint16_t tcp_protocol = 6, udp_protocol = 17;

const auto client4 = "10.0.0.100"_ip;
const auto client6 = "2001:db8::100"_ip;
const std::vector<net::IpAddress> virtual_addresses{"10.0.0.10"_ip, "10.0.0.11"_ip, "2001:db8::10"_ip};

/// What clients and servers send, over and over.
std::vector<Bytes> traffic() {
    std::vector<Bytes> frames;
    for (std::uint16_t port = 4000; port < 4064; ++port) {
        for (const auto& address : {"10.0.0.10"_ip, "10.0.0.11"_ip}) {
            frames.push_back((ipv4(client4, address) / tcp(port, 80).syn()).frame());
            frames.push_back((ipv4(client4, address) / tcp(port, 80).ack() / payload(8)).frame());
            frames.push_back((ipv4(client4, address) / udp(port, 80) / payload(8)).frame());
        }
        frames.push_back((ipv6(client6, "2001:db8::10"_ip) / udp(port, 80) / payload(8)).frame());
        frames.push_back((ipv4("192.168.1.2"_ip, client4) / tcp(80, port).syn().ack()).frame());
        frames.push_back((ipv4("192.168.1.3"_ip, client4) / udp(80, port) / payload(8)).frame());
        frames.push_back((ipv4(client4, "10.0.0.10"_ip) / tcp(port, 80).rst()).frame());
    }
    return frames;
}

/// The worker's thread, until it is stopped.
class Forwarding {
public:
    explicit Forwarding(Stage& stage) : stage_{stage}, thread_{[this] { run(); }} {}

    ~Forwarding() {
        stop_ = true;
        thread_.join();
    }

    std::uint64_t arrived() const noexcept { return arrived_; }

    std::uint64_t left() const noexcept { return left_; }

private:
    void run() {
        const auto frames = traffic();
        std::mt19937 random{1};
        stage_.quiescence().register_worker(0);
        for (unsigned burst = 0; !stop_; ++burst) {
            for (int i = 0; i < 32; ++i) stage_.arrive({.frame = frames[random() % frames.size()]});
            const auto sent = stage_.deliver();
            arrived_ += 32;
            left_ += sent.frames.size() + sent.punted.size();
            if (burst % 16 == 0) stage_.run_timers(forwarding::ticks_per_second);
            stage_.quiescence().report(0);
        }
        stage_.quiescence().unregister_worker(0);
    }

    Stage& stage_;
    std::atomic<bool> stop_ = false;
    std::atomic<std::uint64_t> arrived_ = 0, left_ = 0;
    std::thread thread_;
};

/// One random edit after the other; most are refused for what is there or is not.
class Churn {
public:
    explicit Churn(ControlPlane& control) : control_{control} {}

    /// Whether it was done.
    bool edit() {
        const bool v4 = pick(3) != 0;
        const ipvs::EndpointKey key{
            pick(2) == 0 && v4 ? tcp_protocol : udp_protocol, virtual_addresses[v4 ? pick(2) : 2],
            net::Port{std::uint16_t{80}}
        };
        switch (pick(12)) {
            case 0:
            case 1: return control_.add_service(key, service(v4)).has_value();
            case 2: return control_.edit_service(key, service(v4)).has_value();
            case 3: return control_.remove_service(key).has_value();
            case 4: return control_.zero(ipvs::ServiceKey{key}).has_value();
            case 5:
            case 6:
            case 7: return control_.add_destination(key, destination(v4)).has_value();
            case 8:
            case 9: return control_.edit_destination(key, destination(v4)).has_value();
            case 10: return control_.remove_destination(key, destination(v4).key).has_value();
            default: return pick(20) == 0 && (control_.flush(), true);
        }
    }

private:
    std::uint32_t pick(std::uint32_t below) { return static_cast<std::uint32_t>(random_() % below); }

    ipvs::ServiceSpec service(bool v4) {
        static const char* const schedulers[]{"rr", "wrr", "wlc", "sh", "mh", "lblcr", "sed"};
        ipvs::ServiceSpec spec;
        spec.scheduler = schedulers[pick(std::size(schedulers))];
        spec.netmask = v4 ? 0xFFFFFFFF : 128;
        spec.flags_mask = ~0U;
        if (pick(3) == 0) {
            spec.flags.word |= ipvs::ServiceFlags::persistent;
            spec.timeout = 30;
        }
        if (pick(6) == 0) spec.flags.word |= ipvs::ServiceFlags::one_packet;
        return spec;
    }

    ipvs::DestinationSpec destination(bool v4) {
        ipvs::DestinationSpec spec;
        const std::string last = std::to_string(2 + pick(3));
        spec.key = {
            *net::parse_ip_address((v4 ? "192.168.1." : "2001:db8:1::") + last),
            net::Port{std::uint16_t{80}}
        };
        spec.forwarding = pick(3) == 0 ? 2 : pick(2) == 0 ? 0 : 3;
        spec.weight = static_cast<std::int32_t>(pick(4));
        spec.upper_threshold = pick(4) == 0 ? 20 : 0;
        return spec;
    }

    ControlPlane& control_;
    std::mt19937 random_{2};
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(churn_test, EalFixture)

BOOST_AUTO_TEST_CASE(services_come_and_go_under_traffic) {
    Stage stage{1, 4096};
    Churn churn{stage.control()};
    int done = 0;
    std::uint64_t arrived = 0, left = 0;
    {
        const Forwarding forwarding{stage};
        for (int i = 0; i < edits; ++i) {
            done += churn.edit() ? 1 : 0;
            // A tick of control's own clock now and then, so that slots are given back and reused.
            if (i % 8 == 0) stage.run_control(static_cast<std::uint32_t>(i));
            if (i % 32 == 0) std::this_thread::yield();
        }
        while (forwarding.arrived() < 10000) stage.run_control(edits);
        arrived = forwarding.arrived();
        left = forwarding.left();
    }
    BOOST_TEST(done > edits / 20);
    BOOST_TEST(left > arrived / 10);
    stage.check_forgets();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::daemon
