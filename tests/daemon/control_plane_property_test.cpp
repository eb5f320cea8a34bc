#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <vector>

#include "forwarding/schedulers/scheduler.hpp"
#include "tests/daemon/control_fixture.hpp"

namespace nlvs::daemon {
namespace {

int cases() {
    const char* scale = std::getenv("NLVS_CASES");
    return scale != nullptr ? std::atoi(scale) : 20;
}

/// What is configured, in the plainest form: destinations newest first.
struct Model {
    struct Service {
        ipvs::ServiceKey key;
        std::string scheduler;
        std::vector<ipvs::DestinationSpec> destinations;
    };

    std::vector<Service> services;  ///< in order of creation

    auto find(const ipvs::ServiceKey& key) {
        return std::ranges::find(services, key, &Service::key);
    }

    static auto find(Service& service, const ipvs::DestinationKey& key) {
        return std::ranges::find(service.destinations, key, &ipvs::DestinationSpec::key);
    }
};

struct RandomCommands : ControlFixture {
    explicit RandomCommands(unsigned seed) : random{seed} {}

    unsigned below(unsigned bound) {
        return std::uniform_int_distribution<unsigned>{0, bound - 1}(random);
    }

    ipvs::ServiceKey some_service() {
        if (below(6) == 0) return ipvs::FirewallMarkKey{net::Family::inet, 1 + below(2)};
        return tcp_service("10.0.0.1", static_cast<std::uint16_t>(below(4)));
    }

    ipvs::DestinationSpec some_destination() {
        ipvs::DestinationSpec spec = masqueraded("10.0.0.11", static_cast<std::uint16_t>(below(5)));
        spec.forwarding = below(2) == 0 ? 0 : 3;
        spec.weight = static_cast<std::int32_t>(below(4));
        return spec;
    }

    std::string some_scheduler() {
        static const std::vector<std::string> names{"rr", "wrr", "mh", "sh", "wlc", "none"};
        return names[below(static_cast<unsigned>(names.size()))];
    }

    void step() {
        const ipvs::ServiceKey key = some_service();
        const auto service = model.find(key);
        const bool present = service != model.services.end();
        switch (below(8)) {
            case 0: {
                const auto scheduler = some_scheduler();
                BOOST_TEST(control.add_service(key, scheduled_by(scheduler)).has_value() == !present);
                if (!present) model.services.push_back({key, scheduler, {}});
                return;
            }
            case 1: {
                const auto scheduler = some_scheduler();
                BOOST_TEST(control.edit_service(key, scheduled_by(scheduler)).has_value() == present);
                if (present) service->scheduler = scheduler;
                return;
            }
            case 2:
                if (below(3) != 0) return;
                BOOST_TEST(control.remove_service(key).has_value() == present);
                if (present) model.services.erase(service);
                return;
            case 3:
                if (below(20) != 0) return;
                control.flush();
                model.services.clear();
                return;
            case 4: return pass_time();
            default: return step_destination(key, present ? &*service : nullptr);
        }
    }

    void step_destination(const ipvs::ServiceKey& key, Model::Service* service) {
        const ipvs::DestinationSpec spec = some_destination();
        const bool present =
            service != nullptr && Model::find(*service, spec.key) != service->destinations.end();
        switch (below(4)) {
            case 0:
                BOOST_TEST(control.remove_destination(key, spec.key).has_value() == present);
                if (present) service->destinations.erase(Model::find(*service, spec.key));
                return;
            case 1:
                BOOST_TEST(control.edit_destination(key, spec).has_value() == present);
                if (present) *Model::find(*service, spec.key) = spec;
                return;
            default:
                BOOST_TEST(
                    control.add_destination(key, spec).has_value() == (service != nullptr && !present)
                );
                if (service != nullptr && !present) {
                    service->destinations.insert(service->destinations.begin(), spec);
                }
        }
    }

    void pass_time() {
        control.scan_trash(now += std::chrono::seconds{60 + below(120)});
        reclaimer.collect();
    }

    void check_listing() {
        std::vector<ipvs::ServiceKey> listed;
        control.visit_services(0, [&listed](const ipvs::ServiceView& view) {
            listed.push_back(view.key);
            return true;
        });
        BOOST_TEST_REQUIRE(listed.size() == model.services.size());
        std::size_t tracked = 0;
        std::map<std::pair<std::uint8_t, net::Port>, std::uint32_t> real_servers;
        for (std::size_t i = 0; i < listed.size(); ++i) {
            BOOST_TEST((listed[i] == model.services[i].key));
            check_service(model.services[i], real_servers);
            tracked += model.services[i].destinations.size();
        }
        BOOST_TEST(configuration->services.size() == model.services.size());
        BOOST_TEST(tracker.tracked.size() == tracked);
        BOOST_TEST(configuration->real_servers.size() == real_servers.size());
    }

    /// Listing and published node say the same as the model, slots are theirs alone.
    void check_service(
        const Model::Service& expected,
        std::map<std::pair<std::uint8_t, net::Port>, std::uint32_t>& real_servers
    ) {
        std::vector<ipvs::DestinationSpec> listed;
        control.visit_destinations(expected.key, 0, [&listed](const ipvs::DestinationView& view) {
            listed.push_back(view.spec);
            return true;
        });
        BOOST_TEST((listed == expected.destinations));
        const forwarding::Service* node = published(expected.key);
        BOOST_TEST_REQUIRE(node != nullptr);
        BOOST_TEST((node->scheduler == forwarding::parse_scheduler(expected.scheduler)));
        BOOST_TEST_REQUIRE(node->destinations.size() == expected.destinations.size());
        for (std::size_t i = 0; i < expected.destinations.size(); ++i) {
            const auto& spec = expected.destinations[i];
            const auto& destination = node->destinations[i];
            BOOST_TEST((destination.port == spec.key.port));
            BOOST_TEST((destination.slot == &slot(destination.id)));
            BOOST_TEST((destination.slot->port == spec.key.port));
            BOOST_TEST(destination.slot->available.load());
            BOOST_TEST(destination.slot->weight.load() == spec.weight);
            BOOST_TEST(owners.emplace(destination.id.value, 0).second);
            if (spec.forwarding == 0) count_real_servers(expected.key, spec, real_servers);
        }
    }

    static void count_real_servers(
        const ipvs::ServiceKey& key, const ipvs::DestinationSpec& spec,
        std::map<std::pair<std::uint8_t, net::Port>, std::uint32_t>& real_servers
    ) {
        if (const auto* endpoint = std::get_if<ipvs::EndpointKey>(&key)) {
            ++real_servers[{6, spec.key.port.is_any() ? endpoint->port : spec.key.port}];
            if (endpoint->port.is_any() || endpoint->port.host() == 21) ++real_servers[{6, {}}];
            return;
        }
        for (const auto protocol : {std::uint8_t{6}, std::uint8_t{17}, std::uint8_t{132}}) {
            ++real_servers[{protocol, spec.key.port}];
            ++real_servers[{protocol, {}}];
        }
    }

    std::mt19937 random;
    Model model;
    DestinationTrash::Clock::time_point now{};
    std::map<std::uint32_t, int> owners;  ///< slots seen in this check
};

BOOST_AUTO_TEST_SUITE(control_plane_property_test)

BOOST_AUTO_TEST_CASE(listings_and_published_nodes_follow_any_commands) {
    for (int seed = 1; seed <= cases(); ++seed) {
        BOOST_TEST_CONTEXT("seed " << seed) {
            RandomCommands commands{static_cast<unsigned>(seed)};
            for (int i = 0; i < 500; ++i) {
                commands.step();
                if (i % 10 != 0) continue;
                commands.owners.clear();
                commands.check_listing();
            }
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nlvs::daemon
