#include "forwarding/nic/doorbell.hpp"

#include <chrono>
#include <thread>

#include <boost/test/unit_test.hpp>
#include <unistd.h>

using namespace nlvs::forwarding;
using namespace std::chrono_literals;

namespace {

std::chrono::microseconds time_of(auto&& action) {
    const auto start = std::chrono::steady_clock::now();
    action();
    return std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::steady_clock::now() - start
    );
}

constexpr auto long_time = 20s;

}  // namespace

BOOST_AUTO_TEST_SUITE(doorbell_test)

BOOST_AUTO_TEST_CASE(without_a_ring_the_worker_sleeps_to_the_limit) {
    Doorbell doorbell;
    doorbell.arm();
    bool rang = true;
    BOOST_TEST((time_of([&] { rang = doorbell.wait(20ms); }) >= 19ms));
    doorbell.disarm();
    BOOST_TEST(!rang);
}

BOOST_AUTO_TEST_CASE(a_ring_before_the_sleep_is_not_lost_and_counts_once) {
    Doorbell doorbell;
    doorbell.ring();
    doorbell.ring();
    BOOST_TEST((time_of([&] { BOOST_TEST(doorbell.wait(long_time)); }) < long_time / 2));
    BOOST_TEST(!doorbell.wait(1ms));
}

BOOST_AUTO_TEST_CASE(another_thread_wakes_the_worker) {
    Doorbell doorbell;
    std::thread other{[&] {
        std::this_thread::sleep_for(10ms);
        doorbell.ring();
    }};
    BOOST_TEST((time_of([&] { BOOST_TEST(doorbell.wait(long_time)); }) < long_time / 2));
    other.join();
}

BOOST_AUTO_TEST_CASE(input_on_a_watched_descriptor_wakes_the_worker_until_it_is_read) {
    int ends[2];
    BOOST_TEST_REQUIRE(pipe(ends) == 0);
    Doorbell doorbell;
    doorbell.add_descriptor(ends[0]);
    BOOST_TEST(!doorbell.wait(1ms));
    char byte = 'x';
    BOOST_TEST_REQUIRE(write(ends[1], &byte, 1) == 1);
    BOOST_TEST(doorbell.wait(long_time));
    BOOST_TEST(doorbell.wait(long_time));
    BOOST_TEST_REQUIRE(read(ends[0], &byte, 1) == 1);
    BOOST_TEST(!doorbell.wait(1ms));
    close(ends[0]);
    close(ends[1]);
}

BOOST_AUTO_TEST_SUITE_END()
