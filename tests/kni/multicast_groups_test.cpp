#include "kni/multicast_groups.hpp"

#include <boost/test/unit_test.hpp>

using namespace nlvs;
using namespace nlvs::kni;

namespace {

net::MacAddress group(const char* text) { return net::parse_mac_address(text).value(); }

}  // namespace

BOOST_AUTO_TEST_SUITE(multicast_groups_test)

/// Recorded after `ip maddr add 33:33:00:00:00:99 dev dp0` (the line with a 1 in the fourth column).
BOOST_AUTO_TEST_CASE(groups_are_those_of_their_interface) {
    const auto groups = parse_multicast_groups(
        "2    eth0            1     0     333300000001\n"
        "2    eth0            2     0     01005e000001\n"
        "17   dp0             1     0     333300000001\n"
        "17   dp0             1     1     333300000099\n"
    );
    BOOST_TEST(groups.size() == 2U);
    BOOST_TEST((groups.at(2) == std::set{group("33:33:00:00:00:01"), group("01:00:5e:00:00:01")}));
    BOOST_TEST((groups.at(17) == std::set{group("33:33:00:00:00:01"), group("33:33:00:00:00:99")}));
}

BOOST_AUTO_TEST_CASE(what_is_no_ethernet_address_is_passed_over) {
    BOOST_TEST(parse_multicast_groups("").empty());
    BOOST_TEST(parse_multicast_groups("7 ib0 1 0 00ffffffff12401bffff000000000000ffffffff\n").empty());
    BOOST_TEST(parse_multicast_groups("7 eth0 1 0 33330000000g\n7 eth0 1 0\neth0\n").empty());
}

BOOST_AUTO_TEST_SUITE_END()
