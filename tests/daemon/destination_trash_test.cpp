#include "daemon/destination_trash.hpp"

#include <boost/test/unit_test.hpp>

#include <set>

namespace nlvs::daemon {
namespace {

using namespace std::chrono_literals;
using net::operator""_ip;

struct Fixture {
    DestinationTrash trash;
    DestinationTrash::Clock::time_point now{};
    std::set<std::uint32_t> referenced;
    std::set<std::uint32_t> released;
    RegisteredService service =
        service_of(ipvs::EndpointKey{6, "10.0.0.1"_ip, net::Port{std::uint16_t{80}}});

    static RegisteredService service_of(const ipvs::ServiceKey& key, std::uint16_t protocol = 6) {
        RegisteredService service;
        service.key = key;
        service.spec.beside_mark.protocol = protocol;
        return service;
    }

    void put(std::uint32_t id, const RegisteredService& of) {
        auto destination = std::make_unique<RegisteredDestination>();
        destination->spec.key = {"10.0.0.11"_ip, net::Port{std::uint16_t{80}}};
        destination->id = forwarding::DestinationId{id};
        trash.put(of, std::move(destination));
    }

    void scan_after(std::chrono::seconds pause) {
        now += pause;
        trash.scan(
            now,
            [this](const RegisteredDestination& d) { return referenced.contains(d.id.value); },
            [this](const RegisteredDestination& d) { released.insert(d.id.value); }
        );
    }
};

BOOST_FIXTURE_TEST_SUITE(destination_trash_test, Fixture)

BOOST_AUTO_TEST_CASE(an_idle_destination_leaves_120_seconds_after_it_was_found_idle) {
    put(1, service);
    scan_after(60s);
    scan_after(60s);
    BOOST_TEST(released.empty());
    scan_after(60s);
    BOOST_TEST(released.contains(1));
    BOOST_TEST(trash.size() == 0U);
}

BOOST_AUTO_TEST_CASE(a_referenced_destination_stays) {
    put(1, service);
    referenced.insert(1);
    for (int i = 0; i < 10; ++i) scan_after(60s);
    BOOST_TEST(trash.size() == 1U);
    referenced.clear();
    scan_after(60s);
    scan_after(60s);
    BOOST_TEST(trash.size() == 1U);
    scan_after(60s);
    BOOST_TEST(trash.size() == 0U);
}

BOOST_AUTO_TEST_CASE(the_youngest_of_equals_is_taken_first) {
    // Both families' services of one firewall mark may leave the same destination behind.
    const auto v4 = service_of(ipvs::FirewallMarkKey{net::Family::inet, 7});
    const auto v6 = service_of(ipvs::FirewallMarkKey{net::Family::inet6, 7});
    put(1, v4);
    put(2, v6);
    const ipvs::DestinationKey key{"10.0.0.11"_ip, net::Port{std::uint16_t{80}}};
    BOOST_TEST(trash.take(v4, key)->id.value == 2U);
    BOOST_TEST(trash.take(v4, key)->id.value == 1U);
    BOOST_TEST((trash.take(v4, key) == nullptr));
}

BOOST_AUTO_TEST_CASE(what_a_service_by_mark_left_is_of_its_protocol) {
    const ipvs::ServiceKey mark = ipvs::FirewallMarkKey{net::Family::inet, 7};
    const ipvs::DestinationKey key{"10.0.0.11"_ip, net::Port{std::uint16_t{80}}};
    put(1, service_of(mark, 17));
    BOOST_TEST((trash.take(service_of(mark, 6), key) == nullptr));
    BOOST_TEST((trash.take(service_of(mark, 17), key) != nullptr));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nlvs::daemon
