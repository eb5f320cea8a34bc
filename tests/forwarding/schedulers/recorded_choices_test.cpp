#include "forwarding/schedulers/schedule_builder.hpp"
#include "forwarding/schedulers/scheduler.hpp"
#include "tests/support/corpus.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::forwarding;

namespace {

/// Does to one worker what record_choices.py did to a kernel.
class Replay {
public:
    explicit Replay(net::IpProtocol protocol) noexcept : protocol_{protocol} {}

    /// Handles one event; a pick must lead where the recording says.
    void handle(std::istringstream& event) {
        std::string verb;
        event >> verb;
        if (verb == "scenario") start(event);
        if (verb == "add") add(event);
        if (verb == "set") set(event);
        if (verb == "del") remove(event);
        if (verb == "bind") bind(event);
        if (verb == "pick") pick(event);
    }

    int picks() const { return picks_; }

private:
    struct Settings {
        std::int32_t weight = 0;
        std::uint32_t upper = 0;
        std::uint32_t lower = 0;
    };

    static net::IpAddress read_address(std::istringstream& event) {
        std::string text;
        event >> text;
        return net::parse_ip_address(text).value();
    }

    static Settings read_settings(std::istringstream& event) {
        Settings settings;
        event >> settings.weight >> settings.upper >> settings.lower;
        return settings;
    }

    void start(std::istringstream& event) {
        std::string name;
        service_ = Service{};
        event >> name >> service_.flags.word;
        service_.key = ipvs::EndpointKey{
            static_cast<std::uint16_t>(protocol_), read_address(event), net::Port{80}};
        service_.scheduler = parse_scheduler(name).value();
        builder_.bind(service_);
    }

    void add(std::istringstream& event) {
        const Service previous = service_;
        char name = 0;
        event >> name;
        const auto address = read_address(event);
        const auto settings = read_settings(event);
        // The slot of a removed destination waits in the trash with its counts.
        const auto [it, is_new] = ids_.try_emplace(address, DestinationId{next_id_});
        if (is_new) BOOST_TEST_REQUIRE(slots_.ensure(next_id_++));
        names_[it->second] = name;
        ServiceDestination destination;
        destination.id = it->second;
        destination.slot = &slots_[it->second.value];
        destination.address = address;
        destination.port = net::Port{80};
        destination.last_weight = settings.weight;
        destination.slot->available = true;
        service_.destinations.insert(service_.destinations.begin(), destination);
        apply(service_.destinations.front(), settings);
        builder_.destination_changed(service_, previous);
    }

    void set(std::istringstream& event) {
        const Service previous = service_;
        auto& destination = find(event);
        apply(destination, read_settings(event));
        builder_.destination_changed(service_, previous);
    }

    void remove(std::istringstream& event) {
        const Service previous = service_;
        const auto& destination = find(event);
        destination.slot->available = false;
        service_.destinations.erase(
            service_.destinations.begin() + (&destination - service_.destinations.data())
        );
        builder_.destination_removed(service_, previous);
    }

    void bind(std::istringstream& event) {
        std::string name;
        event >> name;
        service_.scheduler = parse_scheduler(name).value();
        builder_.bind(service_);
    }

    void pick(std::istringstream& event) {
        const auto client = read_address(event);
        std::uint16_t port = 0;
        char expected = 0;
        event >> port >> expected;
        const ScheduleInput input{
            client,
            std::get<ipvs::EndpointKey>(service_.key).address,
            net::Port{port},
            static_cast<std::uint8_t>(protocol_),
            random_,
            sysctls_,
            Time{},
        };
        const auto* chosen = forwarding::pick(service_, input, state_);
        const char name = chosen == nullptr ? '-' : names_.at(chosen->id);
        BOOST_TEST_REQUIRE(name == expected);
        ++picks_;
        if (chosen == nullptr) return;
        chosen->slot->totals.bind();
        // Linux counts a TCP connection as active from its SYN on, a UDP one never.
        if (protocol_ == net::IpProtocol::tcp) chosen->slot->totals.active += 1;
    }

    ServiceDestination& find(std::istringstream& event) {
        char name = 0;
        event >> name;
        for (auto& destination : service_.destinations) {
            if (names_.at(destination.id) == name) return destination;
        }
        throw std::runtime_error{"the recording names an unknown destination"};
    }

    static void apply(ServiceDestination& destination, const Settings& settings) {
        destination.weight = settings.weight;
        if (settings.weight != 0) destination.last_weight = settings.weight;
        destination.slot->weight = settings.weight;
        auto& totals = destination.slot->totals;
        const bool changed =
            totals.upper_threshold != settings.upper || totals.lower_threshold != settings.lower;
        totals.upper_threshold = settings.upper;
        totals.lower_threshold = settings.lower;
        if (changed) totals.reevaluate();
    }

    net::IpProtocol protocol_;
    ScheduleBuilder builder_;
    Service service_;
    SchedulerState state_;
    SlotArray<DestinationSlot> slots_;
    std::uint32_t next_id_ = 0;
    std::map<net::IpAddress, DestinationId> ids_;
    std::map<DestinationId, char> names_;
    RandomSource random_{1};
    ipvs::Sysctls sysctls_;
    int picks_ = 0;
};

/// Replays a whole recording; the number of its picks.
int replay_all(net::IpProtocol protocol, const std::filesystem::path& path) {
    std::ifstream recording{path};
    BOOST_TEST_REQUIRE(recording.good());
    Replay replay{protocol};
    std::string line;
    for (int number = 1; std::getline(recording, line); ++number) {
        BOOST_TEST_CONTEXT("line " << number << ": " << line) {
            std::istringstream event{line};
            replay.handle(event);
        }
    }
    return replay.picks();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(recorded_choices_test)

BOOST_AUTO_TEST_CASE(a_single_worker_chooses_for_udp_as_linux_6_1_did) {
    const auto path = test::corpus() / "schedulers/choices-udp.txt";
    BOOST_TEST(replay_all(net::IpProtocol::udp, path) > 1000);
}

BOOST_AUTO_TEST_CASE(a_single_worker_chooses_for_tcp_as_linux_6_1_did) {
    const auto path = test::corpus() / "schedulers/choices-tcp.txt";
    BOOST_TEST(replay_all(net::IpProtocol::tcp, path) > 1000);
}

BOOST_AUTO_TEST_SUITE_END()
