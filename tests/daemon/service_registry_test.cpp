#include "daemon/service_registry.hpp"

#include <boost/test/unit_test.hpp>

#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace nlvs::daemon {
namespace {

using ipvs::Error;
using net::operator""_ip;

constexpr std::uint32_t tunnel = 2;

net::Port port(std::uint16_t number) { return net::Port{number}; }

ipvs::ServiceKey tcp(const char* address, std::uint16_t number) {
    return ipvs::EndpointKey{6, *net::parse_ip_address(address), port(number)};
}

ipvs::ServiceSpec scheduled(std::string name) {
    ipvs::ServiceSpec spec;
    spec.scheduler = std::move(name);
    return spec;
}

ipvs::ServiceSpec scheduled_v6() {
    ipvs::ServiceSpec spec = scheduled("rr");
    spec.netmask = 128;
    return spec;
}

ipvs::DestinationSpec server(const char* address, std::uint16_t number = 80) {
    ipvs::DestinationSpec spec;
    spec.key = {*net::parse_ip_address(address), port(number)};
    spec.weight = 1;
    return spec;
}

template <class T>
Error error_of(const ipvs::Result<T>& result) {
    BOOST_TEST_REQUIRE(!result.has_value());
    return result.error();
}

bool is(Error a, Error b) { return a == b; }

struct Fixture {
    ServiceRegistry registry{[](const net::IpAddress& address) {
        return address == "255.255.255.255"_ip ? AddressType::broadcast : AddressType::unicast;
    }};

    RegisteredService& add(const ipvs::ServiceKey& key, const ipvs::ServiceSpec& spec) {
        const auto added = registry.add_service(key, spec);
        BOOST_TEST_REQUIRE(added.has_value());
        return **added;
    }

    RegisteredDestination& add(RegisteredService& service, const ipvs::DestinationSpec& spec) {
        const auto added = registry.add_destination(service, spec);
        BOOST_TEST_REQUIRE(added.has_value());
        return *added->destination;
    }
};

BOOST_FIXTURE_TEST_SUITE(service_registry_test, Fixture)

BOOST_AUTO_TEST_CASE(services_are_refused_for_the_kernels_reasons) {
    const auto v6 = tcp("2001:db8::1", 80);
    auto no_prefix = scheduled("rr");
    no_prefix.netmask = 0;
    auto long_prefix = scheduled("rr");
    long_prefix.netmask = 129;
    auto engine = scheduled("rr");
    engine.persistence_engine = "ftp";
    const struct {
        const char* name;
        ipvs::ServiceKey key;
        ipvs::ServiceSpec spec;
        Error error;
    } rows[] = {
        {"unknown scheduler", tcp("10.0.0.1", 80), scheduled("foo"), Error::unknown_scheduler},
        {"empty scheduler", tcp("10.0.0.1", 80), scheduled(""), Error::unknown_scheduler},
        {"unknown engine", tcp("10.0.0.1", 80), engine, Error::unknown_persistence_engine},
        {"v6 prefix 0", v6, no_prefix, Error::invalid_argument},
        {"v6 prefix 129", v6, long_prefix, Error::invalid_argument},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            BOOST_TEST(is(error_of(registry.add_service(row.key, row.spec)), row.error));
            BOOST_TEST(registry.size() == 0U);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_duplicate_is_reported_before_an_unknown_scheduler) {
    add(tcp("10.0.0.1", 80), scheduled("rr"));
    const auto again = registry.add_service(tcp("10.0.0.1", 80), scheduled("foo"));
    BOOST_TEST(is(error_of(again), Error::service_exists));
}

BOOST_AUTO_TEST_CASE(editing_a_missing_service_is_reported_before_an_unknown_scheduler) {
    const auto edited = registry.edit_service(tcp("10.0.0.1", 80), scheduled("foo"));
    BOOST_TEST(is(error_of(edited), Error::no_such_service));
}

BOOST_AUTO_TEST_CASE(an_edit_that_fails_changes_nothing) {
    RegisteredService& service = add(tcp("10.0.0.1", 80), scheduled("rr"));
    auto spec = scheduled("foo");
    spec.timeout = 7;
    BOOST_TEST(!registry.edit_service(service.key, spec).has_value());
    BOOST_TEST(service.spec.scheduler == "rr");
    BOOST_TEST(service.spec.timeout == 0U);
}

BOOST_AUTO_TEST_CASE(every_scheduler_of_the_kernel_is_known) {
    std::uint16_t port = 1;
    for (const char* name : {"rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "mh", "sed",
                             "nq", "fo", "ovf", "twos"}) {
        BOOST_TEST(add(tcp("10.0.0.9", port++), scheduled(name)).spec.scheduler == name);
    }
}

BOOST_AUTO_TEST_CASE(none_is_a_scheduler) {
    BOOST_TEST(add(tcp("10.0.0.1", 80), scheduled("none")).spec.scheduler == "none");
}

BOOST_AUTO_TEST_CASE(flags_merge_under_the_mask_and_hashed_is_always_set) {
    auto spec = scheduled("rr");
    spec.flags.word = 0x15;
    spec.flags_mask = 0x11;
    RegisteredService& service = add(tcp("10.0.0.1", 80), spec);
    BOOST_TEST(service.spec.flags.word == 0x13U);
    spec.flags.word = 0;
    spec.flags_mask = 0x12;
    BOOST_TEST_REQUIRE(registry.edit_service(service.key, spec).has_value());
    BOOST_TEST(service.spec.flags.word == 0x03U);
    BOOST_TEST(service.spec.flags_mask == ~0U);
}

BOOST_AUTO_TEST_CASE(destinations_are_refused_for_the_kernels_reasons_in_its_order) {
    RegisteredService& service = add(tcp("10.0.0.1", 80), scheduled("rr"));
    add(service, server("10.0.0.11"));
    const auto with = [](ipvs::DestinationSpec spec, const std::function<void(ipvs::DestinationSpec&)>& change) {
        change(spec);
        return spec;
    };
    const auto known = server("10.0.0.11");
    const struct {
        const char* name;
        ipvs::DestinationSpec spec;
        Error error;
    } rows[] = {
        {"other family without tunnel, before the weight",
         with(server("2001:db8::11"), [](auto& s) { s.weight = -1; }), Error::invalid_argument},
        {"negative weight, before thresholds",
         with(known, [](auto& s) { s.weight = -1; s.upper_threshold = ~0U; }), Error::out_of_range},
        {"lower above upper, before the upper limit",
         with(known, [](auto& s) { s.upper_threshold = 1U << 31; s.lower_threshold = ~0U; }),
         Error::out_of_range},
        {"lower without upper", with(known, [](auto& s) { s.lower_threshold = 1; }), Error::out_of_range},
        {"upper beyond int, before the duplicate",
         with(known, [](auto& s) { s.upper_threshold = 1U << 31; }), Error::invalid_argument},
        {"gue without port, even when not a tunnel, before the duplicate",
         with(known, [](auto& s) { s.tunnel.type = ipvs::TunnelType::gue; }), Error::invalid_argument},
        {"duplicate", known, Error::destination_exists},
        {"broadcast address", server("255.255.255.255"), Error::bad_address},
    };
    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            BOOST_TEST(is(error_of(registry.add_destination(service, row.spec)), row.error));
            BOOST_TEST(service.destinations.size() == 1U);
        }
    }
    const auto missing = registry.edit_destination(service, server("10.0.0.12"));
    BOOST_TEST(is(error_of(missing), Error::no_such_destination));
    auto negative = server("10.0.0.12");
    negative.weight = -1;
    BOOST_TEST(is(error_of(registry.edit_destination(service, negative)), Error::out_of_range));
}

BOOST_AUTO_TEST_CASE(the_largest_thresholds_and_weights_are_accepted) {
    RegisteredService& service = add(tcp("10.0.0.1", 80), scheduled("rr"));
    auto spec = server("10.0.0.11");
    spec.weight = std::numeric_limits<std::int32_t>::max();
    spec.upper_threshold = spec.lower_threshold = (1U << 31) - 1;
    BOOST_TEST(registry.add_destination(service, spec).has_value());
}

BOOST_AUTO_TEST_CASE(mixed_families_need_a_tunnel_and_no_sync_daemon) {
    RegisteredService& service = add(tcp("10.0.0.1", 80), scheduled("rr"));
    auto spec = server("2001:db8::11");
    spec.forwarding = tunnel;
    registry.set_mixed_families_allowed(false);
    BOOST_TEST(is(error_of(registry.add_destination(service, spec)), Error::invalid_argument));
    registry.set_mixed_families_allowed(true);
    RegisteredDestination& destination = add(service, spec);
    BOOST_TEST(registry.has_mixed_families());
    registry.trash_destination(service, destination);
    BOOST_TEST(!registry.has_mixed_families());
    add(service, spec);
    BOOST_TEST_REQUIRE(registry.remove_service(service.key).has_value());
    BOOST_TEST(!registry.has_mixed_families());
}

BOOST_AUTO_TEST_CASE(last_weight_forgets_zero_except_the_first) {
    RegisteredService& service = add(tcp("10.0.0.1", 80), scheduled("mh"));
    auto spec = server("10.0.0.11");
    spec.weight = 0;
    RegisteredDestination& destination = add(service, spec);
    BOOST_TEST(destination.last_weight == 0);
    spec.weight = 5;
    BOOST_TEST(registry.edit_destination(service, spec).has_value());
    spec.weight = 0;
    BOOST_TEST(registry.edit_destination(service, spec).has_value());
    BOOST_TEST(destination.last_weight == 5);
    BOOST_TEST(destination.spec.weight == 0);
}

BOOST_AUTO_TEST_CASE(a_re_added_destination_is_the_old_one) {
    const auto key = tcp("10.0.0.1", 80);
    RegisteredService& service = add(key, scheduled("rr"));
    RegisteredDestination& destination = add(service, server("10.0.0.11"));
    destination.id = forwarding::DestinationId{42};
    registry.trash_destination(service, destination);
    const auto revived = registry.add_destination(service, server("10.0.0.11"));
    BOOST_TEST_REQUIRE(revived.has_value());
    BOOST_TEST(revived->destination->id.value == 42U);
    BOOST_TEST((revived->origin == Origin::revived));
    BOOST_TEST_REQUIRE(registry.remove_service(key).has_value());
    RegisteredService& second = add(key, scheduled("rr"));
    const auto elsewhere = registry.add_destination(second, server("10.0.0.11"));
    BOOST_TEST_REQUIRE(elsewhere.has_value());
    BOOST_TEST(elsewhere->destination->id.value == 42U);
    BOOST_TEST((elsewhere->origin == Origin::revived_elsewhere));
}

BOOST_AUTO_TEST_CASE(what_was_given_beside_a_mark_stays_with_the_service_and_its_trash) {
    const ipvs::ServiceKey mark = ipvs::FirewallMarkKey{net::Family::inet, 7};
    ipvs::ServiceSpec by_udp = scheduled("rr");
    by_udp.beside_mark.protocol = 17;
    RegisteredService& service = add(mark, by_udp);
    BOOST_TEST(registry.edit_service(mark, scheduled("wrr")).has_value());
    BOOST_TEST(service.spec.scheduler == "wrr");
    BOOST_TEST(service.spec.beside_mark.protocol == 17);

    add(service, server("10.0.0.11"));
    BOOST_TEST(registry.remove_service(mark).has_value());
    const auto by_tcp = registry.add_destination(add(mark, scheduled("rr")), server("10.0.0.11"));
    BOOST_TEST_REQUIRE(by_tcp.has_value());
    BOOST_TEST((by_tcp->origin == Origin::created));
    BOOST_TEST(registry.remove_service(mark).has_value());
    const auto again = registry.add_destination(add(mark, by_udp), server("10.0.0.11"));
    BOOST_TEST_REQUIRE(again.has_value());
    BOOST_TEST((again->origin == Origin::revived_elsewhere));
}

BOOST_AUTO_TEST_CASE(a_destination_is_not_revived_for_another_virtual_service) {
    RegisteredService& service = add(tcp("10.0.0.1", 80), scheduled("rr"));
    registry.trash_destination(service, add(service, server("10.0.0.11")));
    RegisteredService& other = add(tcp("10.0.0.2", 80), scheduled("rr"));
    const auto added = registry.add_destination(other, server("10.0.0.11"));
    BOOST_TEST_REQUIRE(added.has_value());
    BOOST_TEST((added->origin == Origin::created));
    BOOST_TEST(registry.trash().size() == 1U);
}

BOOST_AUTO_TEST_CASE(a_revived_destination_escapes_the_address_check) {
    AddressType type = AddressType::unicast;
    ServiceRegistry moody{[&type](const net::IpAddress&) { return type; }};
    RegisteredService& service = **moody.add_service(tcp("10.0.0.1", 80), scheduled("rr"));
    const auto first = moody.add_destination(service, server("10.0.0.11"));
    BOOST_TEST_REQUIRE(first.has_value());
    moody.trash_destination(service, *first->destination);
    type = AddressType::broadcast;
    BOOST_TEST(moody.add_destination(service, server("10.0.0.11")).has_value());
    BOOST_TEST(is(error_of(moody.add_destination(service, server("10.0.0.12"))), Error::bad_address));
}

BOOST_AUTO_TEST_CASE(listings_resume_where_they_stopped_whatever_changed_in_between) {
    std::vector<ipvs::ServiceKey> keys;
    for (std::uint16_t i = 1; i <= 6; ++i) {
        keys.push_back(tcp("10.0.0.1", i));
        add(keys.back(), scheduled("rr"));
    }
    std::vector<std::uint16_t> seen;
    const auto collect = [&seen](std::size_t most) {
        return [&seen, most](const RegisteredService& service) {
            if (seen.size() == most) return false;
            seen.push_back(std::get<ipvs::EndpointKey>(service.key).port.host());
            return true;
        };
    };
    const ipvs::Cursor cursor = registry.visit_services(0, collect(2));
    BOOST_TEST_REQUIRE(registry.remove_service(keys[0]).has_value());
    BOOST_TEST_REQUIRE(registry.remove_service(keys[2]).has_value());
    add(tcp("10.0.0.1", 7), scheduled("rr"));
    BOOST_TEST(registry.visit_services(cursor, collect(100)) == ipvs::Control::end);
    const std::vector<std::uint16_t> expected{1, 2, 4, 5, 6, 7};
    BOOST_TEST(seen == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(destinations_are_listed_newest_first_and_resume) {
    RegisteredService& service = add(tcp("10.0.0.1", 80), scheduled("rr"));
    for (std::uint16_t i = 1; i <= 5; ++i) add(service, server("10.0.0.11", i));
    std::vector<std::uint16_t> seen;
    const auto visitor = [&seen](const RegisteredDestination& destination) {
        if (seen.size() == 2) return false;
        seen.push_back(destination.spec.key.port.host());
        return true;
    };
    const ipvs::Cursor cursor = service.visit_destinations(0, visitor);
    registry.trash_destination(service, *service.find({"10.0.0.11"_ip, port(3)}));
    add(service, server("10.0.0.11", 6));
    const auto rest = [&seen](const RegisteredDestination& destination) {
        seen.push_back(destination.spec.key.port.host());
        return true;
    };
    BOOST_TEST(service.visit_destinations(cursor, rest) == ipvs::Control::end);
    const std::vector<std::uint16_t> expected{5, 4, 2, 1};
    BOOST_TEST(seen == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(services_are_counted_per_family) {
    add(tcp("10.0.0.1", 80), scheduled("rr"));
    add(ipvs::FirewallMarkKey{net::Family::inet, 7}, scheduled("rr"));
    add(tcp("2001:db8::1", 80), scheduled_v6());
    BOOST_TEST(registry.count(net::Family::inet) == 2U);
    BOOST_TEST(registry.count(net::Family::inet6) == 1U);
    BOOST_TEST_REQUIRE(registry.remove_service(tcp("10.0.0.1", 80)).has_value());
    BOOST_TEST(registry.count(net::Family::inet) == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nlvs::daemon
