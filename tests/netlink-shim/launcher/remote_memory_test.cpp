// The process looks into itself: a thread of one's own is always allowed.

#include "netlink-shim/launcher/remote_memory.hpp"

#include <array>
#include <cstring>
#include <string>

#include <boost/test/unit_test.hpp>
#include <sys/mman.h>
#include <unistd.h>

using namespace nlvs::shim;

namespace {

std::uint64_t address_of(const void* local) {
    return reinterpret_cast<std::uint64_t>(local);
}

/// Two pages, of which the second cannot be touched.
struct Edge {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    char* begin = static_cast<char*>(
        mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    );
    char* end = begin + page;
    RemoteMemory memory{getpid()};

    Edge() { mprotect(end, page, PROT_NONE); }

    ~Edge() { munmap(begin, 2 * page); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(remote_memory_test)

BOOST_FIXTURE_TEST_CASE(what_is_written_can_be_read, Edge) {
    BOOST_TEST(memory.write(address_of(begin), "bytes", 6));
    char copy[6] = {};
    BOOST_TEST(memory.read(address_of(begin), copy, sizeof(copy)));
    BOOST_TEST(std::string(copy) == "bytes");
}

BOOST_FIXTURE_TEST_CASE(a_value_that_is_partly_out_of_reach_cannot_be_read, Edge) {
    BOOST_TEST(memory.read<std::uint32_t>(address_of(end - 4)).has_value());
    BOOST_TEST(!memory.read<std::uint32_t>(address_of(end - 3)).has_value());
    BOOST_TEST(!memory.read<std::uint32_t>(1).has_value());
}

BOOST_FIXTURE_TEST_CASE(a_string_may_end_where_memory_does, Edge) {
    std::memcpy(end - 6, "/proc", 6);
    BOOST_TEST((memory.read_string(address_of(end - 6), 1024) == "/proc"));
    end[-1] = '/';
    BOOST_TEST(!memory.read_string(address_of(end - 6), 1024).has_value());
}

BOOST_FIXTURE_TEST_CASE(a_string_is_found_across_pages_and_not_beyond_the_longest, Edge) {
    mprotect(end, page, PROT_READ | PROT_WRITE);
    std::strcpy(end - 3, "across");
    BOOST_TEST((memory.read_string(address_of(end - 3), 7) == "across"));
    BOOST_TEST(!memory.read_string(address_of(end - 3), 6).has_value());
}

BOOST_FIXTURE_TEST_CASE(parts_are_gathered_and_scattered_in_order, Edge) {
    std::memcpy(begin, "abcdef", 6);
    const std::array parts = {iovec{begin + 3, 3}, iovec{nullptr, 0}, iovec{begin, 3}};
    std::array<std::byte, 5> copy = {};
    BOOST_TEST(memory.gather(parts, copy));
    BOOST_TEST(std::memcmp(copy.data(), "defab", 5) == 0);
    BOOST_TEST(memory.scatter(parts, std::as_bytes(std::span("VWXYZ", 5))));
    BOOST_TEST(std::memcmp(begin, "YZcVWX", 6) == 0);
    const std::array bad = {iovec{begin, 3}, iovec{end, 3}};
    BOOST_TEST(!memory.gather(bad, copy));
}

BOOST_AUTO_TEST_SUITE_END()
