#include "netlink-shim/launcher/caller.hpp"

#include <string>

#include <boost/test/unit_test.hpp>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

using namespace nlvs::shim;

namespace {

const std::string status_text =
    "Name:\tTgid: 1\n"
    "Tgid:\t4711\n"
    "Pid:\t4712\n"
    "Uid:\t0\t1\t2\t1003\n"
    "Gid:\t0\t1\t2\t1004\n"
    "Groups:\t \n"
    "NStgid:\t4711\t12\n"
    "NSpid:\t4712\t13\n"
    "SigPnd:\t0000000000000200\n"
    "ShdPnd:\t0000000000004000\n"
    "SigBlk:\t0000000000010000\n"
    "CapEff:\t000001ffffffffff\n";

}  // namespace

BOOST_AUTO_TEST_SUITE(caller_test)

BOOST_AUTO_TEST_CASE(a_threads_status_is_read_field_by_field) {
    const auto status = parse_thread_status(status_text);
    BOOST_TEST_REQUIRE(status.has_value());
    BOOST_TEST(status->process == 4711);
    BOOST_TEST(status->process_in_its_namespace == 12);
    BOOST_TEST(status->file_user == 1003U);
    BOOST_TEST(status->file_group == 1004U);
    BOOST_TEST(status->capabilities == 0x1ffffffffffU);
    BOOST_TEST(status->pending_signals == 0x4200U);
    BOOST_TEST(status->blocked_signals == 0x10000U);
}

BOOST_AUTO_TEST_CASE(a_status_without_one_of_the_fields_is_none) {
    for (const char* key :
         {"\nTgid", "Uid", "Gid", "NStgid", "SigPnd", "ShdPnd", "SigBlk", "CapEff"}) {
        std::string text = status_text;
        text[text.find(key) + 1] = '!';
        BOOST_TEST_CONTEXT(key) {
            BOOST_TEST(!parse_thread_status(text).has_value());
        }
    }
    BOOST_TEST(!parse_thread_status("").has_value());
}

BOOST_AUTO_TEST_CASE(this_process_has_a_status_and_a_dead_one_has_none) {
    const auto status = read_thread_status(getpid());
    BOOST_TEST_REQUIRE(status.has_value());
    BOOST_TEST(status->process == getpid());
    BOOST_TEST(status->file_user == geteuid());
    BOOST_TEST(!read_thread_status(1 << 30).has_value());
}

BOOST_AUTO_TEST_CASE(acting_in_ones_own_place_changes_nothing) {
    const auto status = read_thread_status(getpid());
    BOOST_TEST_REQUIRE(status.has_value());
    {
        const InPlaceOf place(getpid(), *status, Descriptor());
        BOOST_TEST(static_cast<bool>(place));
    }
    const auto after = read_thread_status(getpid());
    BOOST_TEST(after->capabilities == status->capabilities);
}

BOOST_AUTO_TEST_CASE(a_weaker_callers_place_is_as_weak_and_is_left_again) {
    const auto own = read_thread_status(gettid());
    BOOST_TEST_REQUIRE(own.has_value());
    ThreadStatus weak = *own;
    weak.capabilities = 0;
    {
        const InPlaceOf place(gettid(), weak, Descriptor());
        BOOST_TEST(static_cast<bool>(place));
        BOOST_TEST(read_thread_status(gettid())->capabilities == 0U);
    }
    BOOST_TEST(read_thread_status(gettid())->capabilities == own->capabilities);
}

BOOST_AUTO_TEST_CASE(a_copied_descriptor_is_the_same_open_file) {
    const Descriptor process = open_process(getpid());
    BOOST_TEST_REQUIRE(static_cast<bool>(process));
    int ends[2];
    BOOST_TEST_REQUIRE(pipe(ends) == 0);
    const Descriptor reader(ends[0]);
    const Descriptor writer(ends[1]);
    const Descriptor copy = copy_descriptor(process, ends[1]);
    BOOST_TEST_REQUIRE(static_cast<bool>(copy));
    BOOST_TEST(write(copy.get(), "x", 1) == 1);
    char byte = 0;
    BOOST_TEST(read(ends[0], &byte, 1) == 1);
    BOOST_TEST(byte == 'x');
    BOOST_TEST(!copy_descriptor(process, 1 << 20));
    BOOST_TEST(errno == EBADF);
}

BOOST_AUTO_TEST_SUITE_END()
