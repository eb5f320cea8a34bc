#include "forwarding/nic/eal.hpp"

#include <boost/test/unit_test.hpp>

using namespace nlvs::forwarding;

BOOST_AUTO_TEST_SUITE(eal_test)

BOOST_AUTO_TEST_CASE(a_device_names_the_driver_it_needs) {
    const struct {
        const char* device;
        const char* driver;
    } rows[]{
        {"0000:03:00.0", "all"},
        {"03:00.1", "all"},
        {"net_tap0,iface=x", "net_tap"},
        {"net_af_packet12,iface=eth0", "net_af_packet"},
        {"net_null0", "net_null"},
        {"virtio_user0,path=/dev/vhost-net", "net_virtio"},
        {"eth0", "net_af_packet"},
        {"enp3s0f1", "net_af_packet"},
    };

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT(row.device) {
            BOOST_TEST(driver_for_device(row.device) == row.driver);
        }
    }
}

BOOST_AUTO_TEST_CASE(workers_follow_the_control_lcore) {
    BOOST_TEST(Eal::lcore_of(0) == 1U);
    BOOST_TEST(Eal::lcore_of(7) == 8U);
}

BOOST_AUTO_TEST_SUITE_END()
