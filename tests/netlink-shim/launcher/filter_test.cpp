#include "netlink-shim/launcher/filter.hpp"

#include <cstring>
#include <initializer_list>
#include <vector>

#include <boost/test/unit_test.hpp>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>

using namespace nlvs::shim;

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t here = AUDIT_ARCH_X86_64;
#else
constexpr std::uint32_t here = AUDIT_ARCH_AARCH64;
#endif

/// Classic BPF as far as the filter uses it; anything else, a jump out of the program and a
/// missing return included, is 0 (SECCOMP_RET_KILL_THREAD).
std::uint32_t run(const std::vector<sock_filter>& program, const seccomp_data& data) {
    std::uint32_t accumulator = 0;
    for (std::size_t at = 0; at < program.size(); ++at) {
        const sock_filter& now = program[at];
        switch (now.code) {
            case BPF_LD | BPF_W | BPF_ABS:
                if (now.k + sizeof(accumulator) > sizeof(data)) return 0;
                std::memcpy(
                    &accumulator, reinterpret_cast<const char*>(&data) + now.k, sizeof(accumulator)
                );
                break;
            case BPF_JMP | BPF_K | BPF_JEQ:
                at += accumulator == now.k ? now.jt : now.jf;
                break;
            case BPF_JMP | BPF_K | BPF_JGE:
                at += accumulator >= now.k ? now.jt : now.jf;
                break;
            case BPF_RET | BPF_K:
                return now.k;
            default:
                return 0;
        }
    }
    return 0;
}

struct Filter {
    WatchedDescriptors watched = watched_descriptors(1024);
    std::vector<sock_filter> program = build_filter(watched);

    std::uint32_t operator()(
        long call, std::initializer_list<std::uint64_t> arguments, std::uint32_t architecture = here
    ) const {
        seccomp_data data = {};
        data.nr = static_cast<int>(call);
        data.arch = architecture;
        std::size_t index = 0;
        for (const std::uint64_t argument : arguments) data.args[index++] = argument;
        return run(program, data);
    }
};

constexpr std::uint32_t notified = SECCOMP_RET_USER_NOTIF;
constexpr std::uint32_t allowed = SECCOMP_RET_ALLOW;

}  // namespace

BOOST_AUTO_TEST_SUITE(filter_test)

BOOST_FIXTURE_TEST_CASE(only_watched_descriptors_are_looked_at, Filter) {
    for (const long call :
         {SYS_read,
          SYS_readv,
          SYS_recvfrom,
          SYS_recvmsg,
          SYS_recvmmsg,
          SYS_write,
          SYS_writev,
          SYS_sendto,
          SYS_sendmsg,
          SYS_sendmmsg,
          SYS_dup,
          SYS_dup3}) {
        BOOST_TEST_CONTEXT("call " << call) {
            for (const DescriptorRange& range : watched) {
                BOOST_TEST((*this)(call, {range.first - 1}) == allowed);
                BOOST_TEST((*this)(call, {range.first}) == notified);
                BOOST_TEST((*this)(call, {range.end - 1}) == notified);
                BOOST_TEST((*this)(call, {range.end}) == allowed);
            }
            BOOST_TEST((*this)(call, {0}) == allowed);
            BOOST_TEST((*this)(call, {0xffffffff}) == allowed);
        }
    }
}

BOOST_FIXTURE_TEST_CASE(a_descriptor_is_the_low_half_of_its_argument, Filter) {
    BOOST_TEST((*this)(SYS_read, {0xdead00000000U | watched[0].first}) == notified);
}

BOOST_FIXTURE_TEST_CASE(of_fcntl_only_the_duplications_count, Filter) {
    const std::uint64_t socket = watched[0].first;
    BOOST_TEST((*this)(SYS_fcntl, {socket, F_DUPFD}) == notified);
    BOOST_TEST((*this)(SYS_fcntl, {socket, F_DUPFD_CLOEXEC}) == notified);
    BOOST_TEST((*this)(SYS_fcntl, {socket, F_GETFL}) == allowed);
    BOOST_TEST((*this)(SYS_fcntl, {3, F_DUPFD}) == allowed);
}

BOOST_FIXTURE_TEST_CASE(of_sockets_only_generic_netlink_counts, Filter) {
    BOOST_TEST((*this)(SYS_socket, {AF_NETLINK, SOCK_RAW, NETLINK_GENERIC}) == notified);
    BOOST_TEST((*this)(SYS_socket, {AF_NETLINK, SOCK_RAW, NETLINK_ROUTE}) == allowed);
    BOOST_TEST((*this)(SYS_socket, {AF_INET, SOCK_RAW, NETLINK_GENERIC}) == allowed);
}

BOOST_FIXTURE_TEST_CASE(of_socket_options_only_those_of_ipvs_count, Filter) {
    for (const long call : {SYS_getsockopt, SYS_setsockopt}) {
        BOOST_TEST((*this)(call, {3, IPPROTO_IP, 1151}) == allowed);
        BOOST_TEST((*this)(call, {3, IPPROTO_IP, 1152}) == notified);
        BOOST_TEST((*this)(call, {3, IPPROTO_IP, 1167}) == notified);
        BOOST_TEST((*this)(call, {3, IPPROTO_IP, 1168}) == allowed);
        BOOST_TEST((*this)(call, {3, SOL_SOCKET, 1152}) == allowed);
    }
}

BOOST_FIXTURE_TEST_CASE(paths_count_unless_they_start_at_a_descriptor, Filter) {
    const auto working_directory = static_cast<std::uint32_t>(AT_FDCWD);
    for (const long call : {SYS_openat, SYS_openat2, SYS_newfstatat, SYS_statx, SYS_faccessat,
                            SYS_faccessat2}) {
        BOOST_TEST((*this)(call, {working_directory}) == notified);
        BOOST_TEST((*this)(call, {3}) == allowed);
    }
    for (const long call : {SYS_statfs, SYS_getxattr, SYS_llistxattr, SYS_sendfile})
        BOOST_TEST((*this)(call, {3}) == notified);
#ifdef SYS_open
    for (const long call : {SYS_open, SYS_stat, SYS_lstat, SYS_access})
        BOOST_TEST((*this)(call, {0}) == notified);
#endif
}

BOOST_FIXTURE_TEST_CASE(other_calls_and_architectures_are_allowed, Filter) {
    BOOST_TEST((*this)(SYS_getpid, {}) == allowed);
    BOOST_TEST((*this)(SYS_execve, {watched[0].first}) == allowed);
    BOOST_TEST((*this)(SYS_sendmsg, {watched[0].first}, AUDIT_ARCH_I386) == allowed);
    // x32 numbers its calls from here.
    BOOST_TEST((*this)(SYS_read | 0x40000000, {watched[0].first}) == allowed);
}

BOOST_AUTO_TEST_CASE(watched_numbers_are_below_the_limit_on_open_files_and_of_select) {
    const struct {
        std::uint64_t limit;
        std::uint32_t first;
        std::uint32_t end;
    } rows[] = {{20, 10, 20}, {256, 128, 256}, {1024, 896, 1024}, {1 << 20, 896, 1024}};

    for (const auto& row : rows) {
        BOOST_TEST_CONTEXT("limit " << row.limit) {
            const WatchedDescriptors watched = watched_descriptors(row.limit);
            BOOST_TEST(watched[0].first == row.first);
            BOOST_TEST(watched[0].end == row.end);
            BOOST_TEST(watched[1].first > watched[0].end);
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()
