#include "daemon/untracked_destinations.hpp"

#include <boost/test/unit_test.hpp>

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>

namespace nlvs::daemon {
namespace {

bool set_loopback_up() {
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    const bool done = ::ioctl(socket, SIOCSIFFLAGS, &request) == 0;
    ::close(socket);
    return done;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(local_table)

BOOST_AUTO_TEST_CASE(a_namespace_without_an_address_takes_everything_for_a_broadcast) {
    bool allowed = false;
    AddressType before{};
    AddressType after{};
    // A thread of its own, whose namespace goes with it.
    std::thread{[&] {
        if (::unshare(CLONE_NEWNET) != 0) return;
        allowed = true;
        const UntrackedDestinations destinations;
        before = destinations.address_type(*net::parse_ip_address("192.0.2.1"));
        BOOST_TEST(set_loopback_up());
        after = destinations.address_type(*net::parse_ip_address("192.0.2.1"));
    }}.join();
    if (!allowed) {
        BOOST_TEST_MESSAGE("not allowed to make a network namespace");
        return;
    }
    BOOST_TEST((before == AddressType::broadcast));
    BOOST_TEST((after == AddressType::unicast));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nlvs::daemon
