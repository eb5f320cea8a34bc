#include "netlink-shim/launcher/path_calls.hpp"

#include "netlink-shim/core/rules.hpp"
#include "netlink-shim/launcher/caller.hpp"
#include "netlink-shim/preload/path_redirect.hpp"

#include <cstdint>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
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
            return false;
#endif
        default:
            return true;
    }
}

Answer open_for(const Call& call, const char* path, int flags, std::uint64_t mode) {
    const Descriptor opened(static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, flags, mode)));
    if (!opened) return Answer::failing(errno);
    const bool given = call.answer_with_file(opened.get(), -1, (flags & O_CLOEXEC) != 0);
    return given ? Answer::given() : Answer::failing(errno);
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
        case SYS_openat:
            return open_for(call, path, call.int_argument(2), call.argument(3));
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

}  // namespace

Answer answer_path(const Call& call) {
    const int place_of_path = has_directory(call) ? 1 : 0;
    const auto path = call.memory().read_string(call.argument(place_of_path), longest_path);
    if (!path || !may_be_proc(path->c_str())) return Answer::resume();
    char remainder[128];
    if (daemon_path(path->c_str(), remainder, sizeof(remainder)) == 0) return Answer::resume();
    const auto caller = read_thread_status(call.thread());
    if (!caller || !call.is_alive()) return Answer::resume();
    const InPlaceOf place(call.thread(), *caller, Descriptor());
    DaemonPath ours;
    if (!place || !ours.find(path->c_str())) return Answer::resume();
    return perform(call, ours.text());
}

}  // namespace nlvs::shim
