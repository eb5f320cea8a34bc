#include "compat/procfs/services_text.hpp"

#include "compat/net/big_endian.hpp"
#include "compat/net/ip_address.hpp"

#include <boost/test/unit_test.hpp>

namespace {

using namespace nlvs;
using net::operator""_ip;

constexpr std::uint16_t tcp = 6;
constexpr std::uint16_t udp = 17;
constexpr std::uint32_t hashed = 2;

ipvs::ServiceView service(
    const ipvs::ServiceKey& key, const std::string& scheduler, std::uint32_t flags = hashed
) {
    ipvs::ServiceView view{.key = key, .spec = {}, .statistics = {}};
    view.spec.scheduler = scheduler;
    view.spec.flags.word = flags;
    return view;
}

std::string line(const ipvs::ServiceView& view) {
    std::string out;
    procfs::append_service(out, view);
    return out;
}

BOOST_AUTO_TEST_SUITE(services_text)

BOOST_AUTO_TEST_CASE(the_header_names_version_and_table_size) {
    std::string out;
    procfs::append_services_header(out, {.version = 0x010201, .connection_table_size = 1048576});
    BOOST_TEST(
        out ==
        "IP Virtual Server version 1.2.1 (size=1048576)\n"
        "Prot LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
    );
}

BOOST_AUTO_TEST_CASE(service_lines_have_the_blanks_of_the_kernel) {
    const ipvs::EndpointKey v4{tcp, "10.0.0.1"_ip, ipvs::Port{std::uint16_t{80}}};
    const ipvs::EndpointKey dns{udp, "10.0.0.1"_ip, ipvs::Port{std::uint16_t{53}}};
    const ipvs::EndpointKey v6{tcp, "2001:db8::1"_ip, ipvs::Port{std::uint16_t{80}}};
    const ipvs::FirewallMarkKey mark{ipvs::Family::inet, 7};
    const ipvs::FirewallMarkKey mark6{ipvs::Family::inet6, 7};

    auto persistent = service(v4, "rr", hashed | 1);
    persistent.spec.timeout = 360;
    auto persistent_once = service(dns, "rr", hashed | 5);
    persistent_once.spec.timeout = 7;
    auto persistent_mark6 = service(mark6, "rr", hashed | 5);
    persistent_mark6.spec.timeout = 60;
    persistent_mark6.spec.netmask = 64;
    auto masked = service(mark, "wlc", hashed | 1);
    masked.spec.timeout = 60;
    masked.spec.netmask = net::Be32{0xFFFFFF00U}.wire();

    const struct {
        const char* name;
        ipvs::ServiceView view;
        const char* expected;
    } rows[]{
        {"v4", service(v4, "wrr"), "TCP  0A000001:0050 wrr  \n"},
        {"v4 one packet", service(dns, "rr", hashed | 4), "UDP  0A000001:0035 rr ops  \n"},
        {"v4 persistent", persistent, "TCP  0A000001:0050 rr  persistent 90000 FFFFFFFF\n"},
        {"v4 both", persistent_once, "UDP  0A000001:0035 rr ops  persistent 1750 FFFFFFFF\n"},
        {"v6", service(v6, "rr"), "TCP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0050 rr \n"},
        {"v6 never shows one packet",
         service(v6, "rr", hashed | 4),
         "TCP  [2001:0db8:0000:0000:0000:0000:0000:0001]:0050 rr \n"},
        {"mark", service(mark, "wlc"), "FWM  00000007 wlc \n"},
        {"mark one packet", service(mark, "rr", hashed | 4), "FWM  00000007 rr ops \n"},
        {"mark persistent", masked, "FWM  00000007 wlc persistent 15000 FFFFFF00\n"},
        {"v6 mark shows its prefix byte-swapped",
         persistent_mark6,
         "FWM  00000007 rr ops persistent 15000 40000000\n"},
        {"unnamed protocol",
         service(ipvs::EndpointKey{99, v4.address, v4.port}, "rr"),
         "IP_99  0A000001:0050 rr  \n"},
        {"protocol beyond a byte",
         service(ipvs::EndpointKey{262, v4.address, v4.port}, "none"),
         "IP_262  0A000001:0050 none  \n"},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.name) {
            BOOST_TEST(line(row.view) == row.expected);
        }
    }
}

BOOST_AUTO_TEST_CASE(destination_lines_are_padded_to_the_right) {
    ipvs::DestinationView view{.spec = {}, .statistics = {}};
    view.spec.key = {"10.0.0.12"_ip, ipvs::Port{std::uint16_t{80}}};
    view.spec.weight = 1;
    view.active_connections = 3;
    view.inactive_connections = 12;

    const struct {
        std::uint32_t method;
        const char* expected;
    } rows[]{
        {0, "  -> 0A00000C:0050      Masq    1      3          12        \n"},
        {1, "  -> 0A00000C:0050      Local   1      3          12        \n"},
        {2, "  -> 0A00000C:0050      Tunnel  1      3          12        \n"},
        {3, "  -> 0A00000C:0050      Route   1      3          12        \n"},
        {7, "  -> 0A00000C:0050      Masq    1      3          12        \n"},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT("method " << row.method) {
            view.spec.forwarding = row.method;
            std::string out;
            procfs::append_destination(out, view);
            BOOST_TEST(out == row.expected);
        }
    }

    view.spec.key.address = "2001:db8::11"_ip;
    view.spec.weight = 2147483647;
    std::string out;
    procfs::append_destination(out, view);
    BOOST_TEST(
        out ==
        "  -> [2001:0db8:0000:0000:0000:0000:0000:0011]:0050      Masq    2147483647 3          "
        "12        \n"
    );
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
