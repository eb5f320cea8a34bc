#include "netlink-shim/launcher/path_calls.hpp"

#include "netlink-shim/core/rules.hpp"
#include "netlink-shim/launcher/called_socket.hpp"
#include "netlink-shim/launcher/caller.hpp"
#include "netlink-shim/preload/in_kernel_copy.hpp"
#include "netlink-shim/preload/path_redirect.hpp"

#include <cstdint>
#include <optional>
#include <string>

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nlvs::shim {

namespace {

// A path with "." and empty components may be longer than the file's own name.
constexpr std::size_t longest_path = 1024;

/// As x86-64 had calls without a directory first, the path's place differs.
bool has_directory(const Call& call) {
    switch (call.number()) {
#ifdef SYS_open
        case SYS_open:
        case SYS_stat:
        case SYS_lstat:
        case SYS_access:
#endif
        case SYS_statfs:
        case SYS_getxattr:
        case SYS_lgetxattr:
        case SYS_listxattr:
        case SYS_llistxattr:
            return false;
        default:
            return true;
    }
}

Answer give(const Call& call, const Descriptor& opened, bool close_on_exec) {
    if (!opened) return Answer::failing(errno);
    const bool given = call.answer_with_file(opened.get(), -1, close_on_exec);
    return given ? Answer::given() : Answer::failing(errno);
}

Answer open_for(const Call& call, const char* path, int flags, std::uint64_t mode) {
    const Descriptor opened(static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode)));
    return give(call, opened, (flags & O_CLOEXEC) != 0);
}

/// What restricts the way to the file, and what later kernels add, is the kernel's business.
Answer open_as_told(const Call& call, const char* path) {
    const auto how = call.memory().read<open_how>(call.argument(2));
    if (!how || call.argument(3) != sizeof(*how) || how->resolve != 0) return Answer::resume();
    const Descriptor opened(
        static_cast<int>(syscall(SYS_openat2, AT_FDCWD, path, &*how, sizeof(*how)))
    );
    return give(call, opened, (how->flags & O_CLOEXEC) != 0);
}

/// Asks about the file; what there is to know goes where the caller wants it.
template <std::size_t size, class Ask>
Answer tell(const Call& call, std::uint64_t address, const Ask& ask) {
    alignas(std::uint64_t) char about[size];
    if (ask(about) != 0) return Answer::failing(errno);
    return call.memory().write(address, about, size) ? Answer::returning(0)
                                                     : Answer::failing(EFAULT);
}

Answer stat_for(const Call& call, const char* path, std::uint64_t address, int flags) {
    return tell<sizeof(struct stat)>(call, address, [=](void* about) {
        return syscall(SYS_newfstatat, AT_FDCWD, path, about, flags);
    });
}

Answer perform(const Call& call, const char* path) {
    switch (call.number()) {
#ifdef SYS_open
        case SYS_open:
            return open_for(call, path, call.int_argument(1), call.argument(2));
        case SYS_stat:
            return stat_for(call, path, call.argument(1), 0);
        case SYS_lstat:
            return stat_for(call, path, call.argument(1), AT_SYMLINK_NOFOLLOW);
        case SYS_access:
            return Answer::of(
                syscall(SYS_faccessat2, AT_FDCWD, path, call.int_argument(1), AT_EACCESS)
            );
#endif
        case SYS_statfs:
            return tell<sizeof(struct statfs)>(call, call.argument(1), [=](void* about) {
                return syscall(SYS_statfs, path, about);
            });
        case SYS_getxattr:
        case SYS_lgetxattr:
        case SYS_listxattr:
        case SYS_llistxattr:
            // It has none; what is missing is told apart.
            return Answer::of(syscall(SYS_llistxattr, path, nullptr, 0));
        case SYS_openat:
            return open_for(call, path, call.int_argument(2), call.argument(3));
        case SYS_openat2:
            return open_as_told(call, path);
        case SYS_newfstatat:
            return stat_for(call, path, call.argument(2), call.int_argument(3));
        case SYS_statx:
            return tell<sizeof(struct statx)>(call, call.argument(4), [&](void* about) {
                return syscall(
                    SYS_statx, AT_FDCWD, path, call.int_argument(2), call.int_argument(3), about
                );
            });
        case SYS_faccessat:
        case SYS_faccessat2: {
            const int flags = call.number() == SYS_faccessat2 ? call.int_argument(3) : 0;
            // The caller's file user has been taken on, its real user has not.
            return Answer::of(
                syscall(SYS_faccessat2, AT_FDCWD, path, call.int_argument(2), flags | AT_EACCESS)
            );
        }
        default:
            return Answer::resume();
    }
}

/// The path that the caller named, with its working directory in front if that is below /proc.
std::optional<std::string> named_path(const Call& call) {
    const int place_of_path = has_directory(call) ? 1 : 0;
    auto path = call.memory().read_string(call.argument(place_of_path), longest_path);
    if (!path || may_be_proc(path->c_str())) return path;
    if (!may_be_below_proc(path->c_str())) return std::nullopt;
    const std::string link = "/proc/" + std::to_string(call.thread()) + "/cwd";
    char directory[64];
    const ssize_t length = readlink(link.c_str(), directory, sizeof(directory));
    if (length < 5 || length == sizeof(directory) || memcmp(directory, "/proc", 5) != 0)
        return std::nullopt;
    return std::string(directory, static_cast<std::size_t>(length)) + "/" + *path;
}

bool concerns_us(const std::string& path) {
    char place[192];
    std::uint32_t process = 0;
    return daemon_path(path.c_str(), place, sizeof(place), &process) > 0 ||
           way_out(path.c_str(), place, sizeof(place)) > 0;
}

}  // namespace

Answer answer_path(const Call& call) {
    const auto path = named_path(call);
    if (!path || !concerns_us(*path)) return Answer::resume();
    const auto caller = read_thread_status(call.thread());
    if (!caller || !call.is_alive()) return Answer::resume();
    const InPlaceOf place(call.thread(), *caller, Descriptor());
    DaemonPath ours;
    if (!place || !ours.find(path->c_str())) return Answer::resume();
    return perform(call, ours.text());
}

Answer answer_copy(const Call& call) {
    const auto from = CalledSocket::of(call, 1);
    return from && is_daemons_file(from->get()) ? Answer::failing(EINVAL) : Answer::resume();
}

}  // namespace nlvs::shim
