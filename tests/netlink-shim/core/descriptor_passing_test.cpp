#include "netlink-shim/core/descriptor_passing.hpp"

#include <array>

#include <boost/test/unit_test.hpp>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using namespace nlvs;

struct Fixture {
    Fixture() { BOOST_TEST_REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0); }

    Fixture(const Fixture&) = delete;
    Fixture& operator=(const Fixture&) = delete;

    ~Fixture() {
        for (const int end : ends) close(end);
    }

    std::array<int, 2> ends{-1, -1};
};

BOOST_FIXTURE_TEST_SUITE(descriptor_passing, Fixture)

BOOST_AUTO_TEST_CASE(what_arrives_is_the_same_open_file) {
    std::array<int, 2> pipe_ends{};
    BOOST_TEST_REQUIRE(pipe(pipe_ends.data()) == 0);
    BOOST_TEST(shim::send_descriptor(ends[0], pipe_ends[1]));
    close(pipe_ends[1]);
    const int received = shim::receive_descriptor(ends[1]);
    BOOST_TEST_REQUIRE(received >= 0);
    BOOST_TEST((fcntl(received, F_GETFD) & FD_CLOEXEC) != 0);
    BOOST_TEST(write(received, "x", 1) == 1);
    close(received);
    char byte = 0;
    BOOST_TEST(read(pipe_ends[0], &byte, 1) == 1);
    BOOST_TEST(byte == 'x');
    BOOST_TEST(read(pipe_ends[0], &byte, 1) == 0);
    close(pipe_ends[0]);
}

BOOST_AUTO_TEST_CASE(a_byte_without_a_file_is_none) {
    BOOST_TEST(send(ends[0], "x", 1, 0) == 1);
    BOOST_TEST(shim::receive_descriptor(ends[1]) == -1);
}

BOOST_AUTO_TEST_CASE(an_end_that_has_gone_neither_takes_nor_gives) {
    shutdown(ends[0], SHUT_RDWR);
    BOOST_TEST(!shim::send_descriptor(ends[1], 0));
    BOOST_TEST(shim::receive_descriptor(ends[1]) == -1);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
