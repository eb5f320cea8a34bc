// More interposed calls that take a path: what changes a file or asks about the file system under
// it; the name of the working directory; copying in the kernel. No decision lives here.

#include "netlink-shim/preload/in_kernel_copy.hpp"
#include "netlink-shim/preload/libc.hpp"
#include "netlink-shim/preload/path_redirect.hpp"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/time.h>
#include <unistd.h>

using namespace nlvs::shim;

#pragma GCC visibility push(default)

extern "C" {

int euidaccess(const char* path, int mode) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"euidaccess", int(const char*, int)>()(p, mode);
    });
}

int eaccess(const char* path, int mode) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"eaccess", int(const char*, int)>()(p, mode);
    });
}

int statfs(const char* path, struct statfs* status) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"statfs", int(const char*, struct statfs*)>()(p, status);
    });
}

int statfs64(const char* path, struct statfs64* status) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"statfs64", int(const char*, struct statfs64*)>()(p, status);
    });
}

int statvfs(const char* path, struct statvfs* status) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"statvfs", int(const char*, struct statvfs*)>()(p, status);
    });
}

int statvfs64(const char* path, struct statvfs64* status) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"statvfs64", int(const char*, struct statvfs64*)>()(p, status);
    });
}

int inotify_add_watch(int instance, const char* path, std::uint32_t mask) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"inotify_add_watch", int(int, const char*, std::uint32_t)>(
        )(instance, p, mask);
    });
}

int truncate(const char* path, off_t size) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"truncate", int(const char*, off_t)>()(p, size);
    });
}

int truncate64(const char* path, off64_t size) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"truncate64", int(const char*, off64_t)>()(p, size);
    });
}

int chmod(const char* path, mode_t mode) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"chmod", int(const char*, mode_t)>()(p, mode);
    });
}

int fchmodat(int directory, const char* path, mode_t mode, int flags) noexcept {
    return on_path<Kind::ask>(directory, path, [=](const char* p) {
        return next<"fchmodat", int(int, const char*, mode_t, int)>()(directory, p, mode, flags);
    });
}

int chown(const char* path, uid_t user, gid_t group) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"chown", int(const char*, uid_t, gid_t)>()(p, user, group);
    });
}

int lchown(const char* path, uid_t user, gid_t group) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"lchown", int(const char*, uid_t, gid_t)>()(p, user, group);
    });
}

int fchownat(int directory, const char* path, uid_t user, gid_t group, int flags) noexcept {
    return on_path<Kind::ask>(directory, path, [=](const char* p) {
        return next<"fchownat", int(int, const char*, uid_t, gid_t, int)>(
        )(directory, p, user, group, flags);
    });
}

int utimensat(int directory, const char* path, const timespec* times, int flags) noexcept {
    const auto call = [=](const char* p) {
        return next<"utimensat", int(int, const char*, const timespec*, int)>(
        )(directory, p, times, flags);
    };
    // Without a path it is about the descriptor.
    return path == nullptr ? call(path) : on_path<Kind::ask>(directory, path, call);
}

int utimes(const char* path, const timeval* times) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"utimes", int(const char*, const timeval*)>()(p, times);
    });
}

int unlink(const char* path) noexcept {
    return on_path<Kind::ask>(path, [](const char* p) {
        return next<"unlink", int(const char*)>()(p);
    });
}

int unlinkat(int directory, const char* path, int flags) noexcept {
    return on_path<Kind::ask>(directory, path, [=](const char* p) {
        return next<"unlinkat", int(int, const char*, int)>()(directory, p, flags);
    });
}

char* getcwd(char* buffer, size_t size) noexcept {
    char* const directory = next<"getcwd", char*(char*, size_t)>()(buffer, size);
    if (directory != nullptr && works_in_files.load(std::memory_order_relaxed))
        give_official_name(directory);
    return directory;
}

ssize_t sendfile(int to, int from, off_t* offset, size_t count) noexcept {
    return copied_in_kernel(from, [=] {
        return next<"sendfile", ssize_t(int, int, off_t*, size_t)>()(to, from, offset, count);
    });
}

ssize_t sendfile64(int to, int from, off64_t* offset, size_t count) noexcept {
    return copied_in_kernel(from, [=] {
        return next<"sendfile64", ssize_t(int, int, off64_t*, size_t)>()(to, from, offset, count);
    });
}

ssize_t splice(
    int from, off64_t* from_offset, int to, off64_t* to_offset, size_t size, unsigned flags
) {
    return copied_in_kernel(from, [=] {
        return next<"splice", ssize_t(int, off64_t*, int, off64_t*, size_t, unsigned)>(
        )(from, from_offset, to, to_offset, size, flags);
    });
}

}  // extern "C"

#pragma GCC visibility pop
