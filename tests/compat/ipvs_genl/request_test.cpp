#include "compat/ipvs_genl/request.hpp"

#include "compat/net/ip_address.hpp"
#include "tests/support/hex.hpp"
#include "tests/support/printing.hpp"

#include <optional>
#include <string>
#include <variant>

#include <boost/test/unit_test.hpp>

namespace {

using namespace nlvs;
using ipvs::Error;
using net::operator""_ip;

/// The payload of a nest, kept alive with the view of it.
struct Nest {
    explicit Nest(const std::string& digits)
        : bytes{test::hex(digits)}, view{netlink::AttributeView{1, bytes}} {}

    std::vector<std::byte> bytes;
    ipvs_genl::Nest view;
};

// Attributes of a service, one per field, to be combined.
const std::string af = "06000100 02000000 ";
const std::string af6 = "06000100 0a000000 ";
const std::string protocol = "06000200 06000000 ";
const std::string address = "14000300 0a000001 00000000 00000000 00000000 ";
const std::string port = "06000400 00500000 ";
const std::string mark = "08000500 07000000 ";
const std::string scheduler = "07000600 72720000 ";
const std::string flags = "0c000700 04000000 0f000000 ";
const std::string timeout = "08000800 3c000000 ";
const std::string netmask = "08000900 ffffff00 ";
const std::string key = af + protocol + address + port;
const std::string full = key + scheduler + flags + timeout + netmask;

// Of a destination.
const std::string to_address = "14000100 c0a80102 00000000 00000000 00000000 ";
const std::string to_port = "06000200 1f900000 ";
const std::string forwarding = "08000300 02000000 ";
const std::string weight = "08000400 03000000 ";
const std::string upper = "08000500 0a000000 ";
const std::string lower = "08000600 05000000 ";
const std::string to_full = to_address + to_port + forwarding + weight + upper + lower;

// Of a sync daemon.
const std::string state = "08000100 01000000 ";
const std::string interface = "09000200 65746830 00000000 ";
const std::string sync_id = "08000300 2c010000 ";

BOOST_AUTO_TEST_SUITE(request_decoding)

BOOST_AUTO_TEST_CASE(a_full_service_is_decoded_field_by_field) {
    const Nest nest{full + "08000b00 73697000"};
    const auto request = ipvs_genl::decode_service(nest.view);
    BOOST_TEST_REQUIRE(request.has_value());
    BOOST_TEST_REQUIRE(std::holds_alternative<ipvs::EndpointKey>(request->key));
    const auto& endpoint = std::get<ipvs::EndpointKey>(request->key);
    BOOST_TEST(endpoint.protocol == 6);
    BOOST_TEST(endpoint.address == "10.0.0.1"_ip);
    BOOST_TEST(endpoint.port.host() == 80);
    BOOST_TEST(request->spec.scheduler == "rr");
    BOOST_TEST(request->spec.persistence_engine == "sip");
    BOOST_TEST(request->spec.flags.word == 4U);
    BOOST_TEST(request->spec.flags_mask == 15U);
    BOOST_TEST(request->spec.timeout == 60U);
    BOOST_TEST(request->spec.netmask == net::Be32{0xFFFFFF00U}.wire());
}

BOOST_AUTO_TEST_CASE(a_service_is_identified_by_endpoint_or_mark) {
    const ipvs::ServiceKey web{ipvs::EndpointKey{6, "10.0.0.1"_ip, ipvs::Port{std::uint16_t{80}}}};

    const struct {
        const char* name;
        std::string nest;
        ipvs::ServiceKey expected;
    } rows[]{
        {"endpoint", key, web},
        {"address of 4 bytes", af + protocol + "08000300 0a000001 " + port, web},
        {"address of 2 bytes is zero-filled",
         af + protocol + "06000300 0a000000 " + port,
         ipvs::EndpointKey{6, "10.0.0.0"_ip, ipvs::Port{std::uint16_t{80}}}},
        {"v6 address of 4 bytes is zero-filled",
         af6 + protocol + "08000300 20010db8 " + port,
         ipvs::EndpointKey{6, "2001:db8::"_ip, ipvs::Port{std::uint16_t{80}}}},
        {"integers longer than needed",
         "08000100 02000000 08000200 06000000 " + address + "08000400 0050ffff",
         web},
        {"protocol beyond a byte",
         af + "06000200 06010000 " + address + port,
         ipvs::EndpointKey{262, "10.0.0.1"_ip, ipvs::Port{std::uint16_t{80}}}},
        {"bytes after the address of an IPv4 service",
         af + protocol + "14000300 0a000001 ffffffff ffffffff ffffffff " + port,
         web},
        {"mark", af + mark, ipvs::FirewallMarkKey{ipvs::Family::inet, 7}},
        {"mark wins over endpoint", key + mark, ipvs::FirewallMarkKey{ipvs::Family::inet, 7}},
        {"mark 0 is TCP any:0",
         af6 + protocol + address + port + "08000500 00000000",
         ipvs::EndpointKey{6, "::"_ip, ipvs::Port{}}},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const Nest nest{row.nest};
            const auto decoded = ipvs_genl::decode_service_key(nest.view);
            BOOST_TEST_REQUIRE(decoded.has_value());
            BOOST_TEST((*decoded == row.expected));
        }
    }
}

BOOST_AUTO_TEST_CASE(an_incomplete_service_key_is_refused) {
    const struct {
        const char* name;
        std::string nest;
        Error expected;
    } rows[]{
        {"empty", "", Error::invalid_argument},
        {"no family", protocol + address + port, Error::invalid_argument},
        {"family alone", af, Error::invalid_argument},
        {"no protocol", af + address + port, Error::invalid_argument},
        {"no address", af + protocol + port, Error::invalid_argument},
        {"no port", af + protocol + address, Error::invalid_argument},
        {"unknown family",
         "06000100 01000000 " + protocol + address + port,
         Error::address_family_not_supported},
        {"incomplete comes before unknown family", "06000100 01000000 ", Error::invalid_argument},
        {"short family", "05000100 02000000 " + protocol + address + port, Error::invalid_argument},
        {"short mark", af + "07000500 07000000", Error::invalid_argument},
        {"address of 17 bytes",
         af + protocol + "15000300 0a000001 00000000 00000000 00000000 00000000 " + port,
         Error::invalid_argument},
        {"statistics nest of 2 bytes", key + "06000a00 00000000", Error::invalid_argument},
        {"truncated in the middle of the port",
         af + protocol + address + "06000400 00",
         Error::invalid_argument},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const Nest nest{row.nest};
            const auto decoded = ipvs_genl::decode_service_key(nest.view);
            BOOST_TEST_REQUIRE(!decoded.has_value());
            BOOST_TEST(decoded.error() == row.expected);
        }
    }
    BOOST_TEST(ipvs_genl::decode_service_key({}).error() == Error::invalid_argument);
}

BOOST_AUTO_TEST_CASE(the_full_form_needs_scheduler_flags_timeout_and_netmask) {
    const struct {
        const char* name;
        std::string nest;
        std::optional<Error> expected;
    } rows[]{
        {"complete", full, {}},
        {"flags of 4 bytes have mask 0",
         key + scheduler + "08000700 04000000 " + timeout + netmask,
         {}},
        {"flags of no bytes", key + scheduler + "04000700 " + timeout + netmask, {}},
        {"scheduler of 15 characters",
         key + "14000600 61616161 61616161 61616161 61616100 " + flags + timeout + netmask,
         {}},
        {"no scheduler", key + flags + timeout + netmask, Error::invalid_argument},
        {"no flags", key + scheduler + timeout + netmask, Error::invalid_argument},
        {"no timeout", key + scheduler + flags + netmask, Error::invalid_argument},
        {"no netmask", key + scheduler + flags + timeout, Error::invalid_argument},
        {"scheduler without NUL",
         key + "06000600 72720000 " + flags + timeout + netmask,
         Error::invalid_argument},
        {"scheduler of 16 characters",
         key + "15000600 61616161 61616161 61616161 61616161 00000000 " + flags + timeout + netmask,
         Error::invalid_argument},
        {"flags of 9 bytes",
         key + scheduler + "0d000700 04000000 0f000000 00000000 " + timeout + netmask,
         Error::invalid_argument},
        {"unknown family comes before missing fields",
         "06000100 03000000 " + protocol + address + port,
         Error::address_family_not_supported},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const Nest nest{row.nest};
            const auto decoded = ipvs_genl::decode_service(nest.view);
            BOOST_TEST(decoded.has_value() == !row.expected.has_value());
            if (row.expected && !decoded) BOOST_TEST(decoded.error() == *row.expected);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_full_destination_is_decoded_field_by_field) {
    const Nest nest{to_full + "05000d00 01000000 06000e00 17c00000 06000f00 03000000"};
    const auto decoded = ipvs_genl::decode_destination(nest.view, ipvs::Family::inet);
    BOOST_TEST_REQUIRE(decoded.has_value());
    const ipvs::DestinationSpec expected{
        .key = {"192.168.1.2"_ip, ipvs::Port{std::uint16_t{8080}}},
        .forwarding = 2,
        .weight = 3,
        .upper_threshold = 10,
        .lower_threshold = 5,
        .tunnel = {ipvs::TunnelType::gue, ipvs::Port{std::uint16_t{6080}}, 3},
    };
    BOOST_TEST(*decoded == expected);
}

BOOST_AUTO_TEST_CASE(tunnel_fields_that_are_absent_are_zero_and_the_method_is_masked) {
    const Nest nest{to_address + to_port + "08000300 fb0000ff " + weight + upper + lower};
    const auto decoded = ipvs_genl::decode_destination(nest.view, ipvs::Family::inet);
    BOOST_TEST_REQUIRE(decoded.has_value());
    BOOST_TEST(decoded->forwarding == 3U);
    BOOST_TEST((decoded->tunnel == ipvs::Tunnel{}));
}

BOOST_AUTO_TEST_CASE(a_destination_has_the_family_it_names_or_that_of_the_service) {
    const std::string v6 = "14000100 20010db8 00000000 00000000 00000011 ";

    const struct {
        const char* name;
        std::string nest;
        ipvs::Family service;
        net::IpAddress expected;
    } rows[]{
        {"absent, IPv4 service", to_address + to_port, ipvs::Family::inet, "192.168.1.2"_ip},
        {"absent, IPv6 service", v6 + to_port, ipvs::Family::inet6, "2001:db8::11"_ip},
        {"0", v6 + to_port + "06000b00 00000000", ipvs::Family::inet6, "2001:db8::11"_ip},
        {"other than the service",
         to_address + to_port + "06000b00 02000000",
         ipvs::Family::inet6,
         "192.168.1.2"_ip},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const Nest nest{row.nest};
            const auto decoded = ipvs_genl::decode_destination_key(nest.view, row.service);
            BOOST_TEST_REQUIRE(decoded.has_value());
            BOOST_TEST(decoded->address == row.expected);
            BOOST_TEST(decoded->port.host() == 8080);
        }
    }
}

BOOST_AUTO_TEST_CASE(an_incomplete_destination_is_refused) {
    const struct {
        const char* name;
        std::string nest;
        Error expected;
    } rows[]{
        {"empty", "", Error::invalid_argument},
        {"no address", to_port + forwarding + weight + upper + lower, Error::invalid_argument},
        {"no port", to_address + forwarding + weight + upper + lower, Error::invalid_argument},
        {"no method", to_address + to_port + weight + upper + lower, Error::invalid_argument},
        {"no weight", to_address + to_port + forwarding + upper + lower, Error::invalid_argument},
        {"no upper threshold",
         to_address + to_port + forwarding + weight + lower,
         Error::invalid_argument},
        {"no lower threshold",
         to_address + to_port + forwarding + weight + upper,
         Error::invalid_argument},
        {"short weight",
         to_address + to_port + forwarding + "07000400 03000000 " + upper + lower,
         Error::invalid_argument},
        {"tunnel type of no bytes", to_full + "04000d00", Error::invalid_argument},
        {"unknown family", to_full + "06000b00 07000000", Error::address_family_not_supported},
        {"incomplete comes before unknown family",
         to_address + to_port + "06000b00 07000000",
         Error::invalid_argument},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const Nest nest{row.nest};
            const auto decoded = ipvs_genl::decode_destination(nest.view, ipvs::Family::inet);
            BOOST_TEST_REQUIRE(!decoded.has_value());
            BOOST_TEST(decoded.error() == row.expected);
        }
    }
}

BOOST_AUTO_TEST_CASE(a_sync_daemon_is_decoded_field_by_field) {
    const Nest nest{
        state + interface + sync_id +
        "06000400 78050000 08000500 ef010203 06000700 28230000 05000800 10000000"};
    const auto decoded = ipvs_genl::decode_daemon(nest.view);
    BOOST_TEST_REQUIRE(decoded.has_value());
    const ipvs::SyncDaemonConfig expected{
        .state = 1,
        .interface = "eth0",
        .sync_id = 300,
        .max_length = 1400,
        .group = "239.1.2.3"_ip,
        .port = 9000,
        .ttl = 16};
    BOOST_TEST(*decoded == expected);
}

BOOST_AUTO_TEST_CASE(multicast_groups_are_checked_and_ipv4_wins) {
    const std::string base = state + interface + sync_id;
    const std::string group6 = "14000600 ff150000 00000000 00000000 00000081 ";

    const struct {
        const char* name;
        std::string nest;
        std::optional<net::IpAddress> expected;
    } rows[]{
        {"none", base, net::IpAddress{}},
        {"v6", base + group6, "ff15::81"_ip},
        {"both", base + group6 + "08000500 e0000052", "224.0.0.82"_ip},
        {"v4 unicast", base + "08000500 0a000001", std::nullopt},
        {"v4 zero", base + "08000500 00000000", std::nullopt},
        {"v4 unicast with a good v6", base + group6 + "08000500 0a000001", std::nullopt},
        {"v6 unicast", base + "14000600 20010db8 00000000 00000000 00000081", std::nullopt},
        {"v6 short", base + "13000600 ff150000 00000000 00000000 00000081", std::nullopt},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const Nest nest{row.nest};
            const auto decoded = ipvs_genl::decode_daemon(nest.view);
            BOOST_TEST_REQUIRE(decoded.has_value() == row.expected.has_value());
            if (row.expected) {
                BOOST_TEST(decoded->group == *row.expected);
            } else {
                BOOST_TEST(decoded.error() == Error::invalid_argument);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(an_incomplete_sync_daemon_is_refused) {
    for (const std::string& digits :
         {std::string{}, interface + sync_id, state + sync_id, state + interface}) {
        BOOST_TEST_CONTEXT(digits) {
            const Nest nest{digits};
            BOOST_TEST(ipvs_genl::decode_daemon(nest.view).error() == Error::invalid_argument);
        }
    }
    const Nest without_state{sync_id};
    BOOST_TEST(
        ipvs_genl::decode_daemon_state(without_state.view).error() == Error::invalid_argument
    );
    BOOST_TEST(ipvs_genl::decode_daemon_state({}).error() == Error::invalid_argument);
    const Nest with_state{state};
    BOOST_TEST(ipvs_genl::decode_daemon_state(with_state.view).value() == 1U);
}

BOOST_AUTO_TEST_CASE(only_the_top_level_tells_wrong_lengths_apart) {
    const struct {
        const char* name;
        const char* attributes;
        std::optional<Error> expected;
    } rows[]{
        {"nothing", "", {}},
        {"unknown attribute", "08004d00 01000000", {}},
        {"timeout of 8 bytes", "0c000400 05000000 00000000", {}},
        {"empty nest", "04000100", {}},
        {"timeout of 2 bytes", "06000400 05000000", Error::out_of_range},
        {"nest of 2 bytes", "06000100 61620000", Error::out_of_range},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            const auto bytes = test::hex(row.attributes);
            const auto command = ipvs_genl::decode_command(bytes);
            BOOST_TEST(command.has_value() == !row.expected.has_value());
            if (row.expected && !command) BOOST_TEST(command.error() == *row.expected);
        }
    }
}

BOOST_AUTO_TEST_CASE(absent_timeouts_are_zero) {
    const auto bytes = test::hex("08000600 4d000000");
    const auto command = ipvs_genl::decode_command(bytes);
    const ipvs::Timeouts expected{.tcp = 0, .tcp_fin = 0, .udp = 77};
    BOOST_TEST(ipvs_genl::decode_timeouts(*command) == expected);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
