#include "netlink-shim/launcher/filter.hpp"

#include <algorithm>
#include <cstddef>
#include <initializer_list>

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nlvs::shim {

namespace {

#if defined(__x86_64__)
constexpr std::uint32_t architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t architecture = AUDIT_ARCH_AARCH64;
#else
#error "the launcher knows the system calls of x86-64 and arm64"
#endif

constexpr std::uint32_t usual_watched = 128;
constexpr std::uint32_t select_limit = 1024;
constexpr std::uint32_t far_first = 32768;
// Linux: include/uapi/linux/ip_vs.h, IP_VS_BASE_CTL and the 16 numbers of nf_sockopt from there.
constexpr std::uint32_t first_option = 64 + 1024 + 64;
constexpr std::uint32_t option_count = 16;

constexpr sock_filter statement(unsigned code, std::uint32_t value) {
    return {static_cast<std::uint16_t>(code), 0, 0, value};
}

constexpr sock_filter allow = statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
constexpr sock_filter notify = statement(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);

using Code = std::vector<sock_filter>;

constexpr sock_filter load(std::size_t offset) {
    return statement(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}

/// The low half of an argument: descriptors and options are 32 bits wide, on little-endian hosts.
constexpr sock_filter load_argument(std::size_t index) {
    return load(offsetof(seccomp_data, args) + index * sizeof(std::uint64_t));
}

constexpr sock_filter jump(
    unsigned test, std::uint32_t value, std::uint8_t if_true, std::uint8_t if_false
) {
    return {static_cast<std::uint16_t>(BPF_JMP | BPF_K | test), if_true, if_false, value};
}

void require_equal(Code& code, std::uint32_t value) {
    code.insert(code.end(), {jump(BPF_JEQ, value, 1, 0), allow});
}

void require_argument(Code& code, std::size_t index, std::uint32_t value) {
    code.push_back(load_argument(index));
    require_equal(code, value);
}

/// Ends the program there if the descriptor in argument 0 is not watched.
void require_watched(Code& code, std::span<const DescriptorRange> watched) {
    code.push_back(load_argument(0));
    // A match jumps over the tests of the ranges that follow and the final allow.
    for (std::size_t i = 0; i < watched.size(); ++i) {
        const auto rest = static_cast<std::uint8_t>(2 * (watched.size() - i - 1) + 1);
        code.push_back(jump(BPF_JGE, watched[i].first, 0, rest));
        code.push_back(jump(BPF_JGE, watched[i].end, 0, rest));
    }
    code.push_back(allow);
}

/// For these calls `body` decides; it ends in a return. The accumulator holds the call's number.
void for_calls(Code& program, std::initializer_list<long> calls, const Code& body) {
    for (const long call : calls) {
        const auto length = static_cast<std::uint8_t>(body.size());
        program.push_back(jump(BPF_JEQ, static_cast<std::uint32_t>(call), 0, length));
        program.insert(program.end(), body.begin(), body.end());
    }
}

void add_descriptor_calls(Code& program, std::span<const DescriptorRange> watched) {
    Code body;
    require_watched(body, watched);
    body.push_back(notify);
    for_calls(
        program,
        {SYS_read,
         SYS_write,
         SYS_recvmsg,
         SYS_sendmsg,
         SYS_recvfrom,
         SYS_sendto,
         SYS_writev,
         SYS_readv,
         SYS_recvmmsg,
         SYS_sendmmsg,
         SYS_dup,
         SYS_dup3},
        body
    );
#ifdef SYS_dup2
    for_calls(program, {SYS_dup2}, body);
#endif
    body.pop_back();
    body.push_back(load_argument(1));
    body.push_back(jump(BPF_JEQ, F_DUPFD, 2, 0));
    require_equal(body, F_DUPFD_CLOEXEC);
    body.push_back(notify);
    for_calls(program, {SYS_fcntl}, body);
}

void add_socket_calls(Code& program) {
    Code creation;
    require_argument(creation, 0, AF_NETLINK);
    require_argument(creation, 2, NETLINK_GENERIC);
    creation.push_back(notify);
    for_calls(program, {SYS_socket}, creation);

    Code options;
    require_argument(options, 1, IPPROTO_IP);
    options.push_back(load_argument(2));
    options.insert(options.end(), {jump(BPF_JGE, first_option, 1, 0), allow});
    options.insert(options.end(), {jump(BPF_JGE, first_option + option_count, 0, 1), allow});
    options.push_back(notify);
    for_calls(program, {SYS_getsockopt, SYS_setsockopt}, options);
}

void add_path_calls(Code& program) {
    Code from_working_directory;
    require_argument(from_working_directory, 0, static_cast<std::uint32_t>(AT_FDCWD));
    from_working_directory.push_back(notify);
    for_calls(
        program,
        {SYS_openat, SYS_openat2, SYS_newfstatat, SYS_statx, SYS_faccessat, SYS_faccessat2},
        from_working_directory
    );
    for_calls(
        program,
        {SYS_statfs, SYS_getxattr, SYS_lgetxattr, SYS_listxattr, SYS_llistxattr, SYS_sendfile},
        {notify}
    );
#ifdef SYS_open
    for_calls(program, {SYS_open, SYS_stat, SYS_lstat, SYS_access}, {notify});
#endif
}

long seccomp(unsigned flags, const sock_fprog& program) {
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

}  // namespace

WatchedDescriptors watched_descriptors(std::uint64_t limit) {
    const auto end = static_cast<std::uint32_t>(std::min<std::uint64_t>(limit, select_limit));
    const std::uint32_t first = end - std::min(usual_watched, end / 2);
    return {{{first, end}, {far_first, far_first + usual_watched}}};
}

std::vector<sock_filter> build_filter(std::span<const DescriptorRange> watched) {
    Code program = {load(offsetof(seccomp_data, arch))};
    require_equal(program, architecture);
    program.push_back(load(offsetof(seccomp_data, nr)));
    add_descriptor_calls(program, watched);
    add_path_calls(program);
    add_socket_calls(program);
    program.push_back(allow);
    return program;
}

int install_filter(std::span<const sock_filter> filter) {
    const sock_fprog program = {
        static_cast<unsigned short>(filter.size()), const_cast<sock_filter*>(filter.data())};
    // WAIT_KILLABLE_RECV: a signal between performing a call and answering would make the
    // program repeat it. SPEC_ALLOW: mitigations of this program are its own business.
    constexpr unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW |
                               SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    long listener = seccomp(flags, program);
    if (listener < 0 && errno == EACCES && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        listener = seccomp(flags, program);
    return static_cast<int>(listener);
}

}  // namespace nlvs::shim
