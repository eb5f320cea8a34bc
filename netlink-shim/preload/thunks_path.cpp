// The interposed calls that take a path. No decision lives here: core/rules and path_redirect.

#include "netlink-shim/preload/directory_entries.hpp"
#include "netlink-shim/preload/libc.hpp"
#include "netlink-shim/preload/path_redirect.hpp"
#include "netlink-shim/preload/real_path.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

using namespace nlvs::shim;

#pragma GCC visibility push(default)

extern "C" {

int open(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    return on_path<Kind::open>(path, [=](const char* p) {
        return next<"open", int(const char*, int, ...)>()(p, flags, mode);
    });
}

int open64(const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    return on_path<Kind::open>(path, [=](const char* p) {
        return next<"open64", int(const char*, int, ...)>()(p, flags, mode);
    });
}

int openat(int directory, const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    return on_path<Kind::open>(directory, path, [=](const char* p) {
        return next<"openat", int(int, const char*, int, ...)>()(directory, p, flags, mode);
    });
}

int openat64(int directory, const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    return on_path<Kind::open>(directory, path, [=](const char* p) {
        return next<"openat64", int(int, const char*, int, ...)>()(directory, p, flags, mode);
    });
}

int __open_2(const char* path, int flags) {
    return on_path<Kind::open>(path, [=](const char* p) {
        return next<"__open_2", int(const char*, int)>()(p, flags);
    });
}

int __open64_2(const char* path, int flags) {
    return on_path<Kind::open>(path, [=](const char* p) {
        return next<"__open64_2", int(const char*, int)>()(p, flags);
    });
}

int __openat_2(int directory, const char* path, int flags) {
    return on_path<Kind::open>(directory, path, [=](const char* p) {
        return next<"__openat_2", int(int, const char*, int)>()(directory, p, flags);
    });
}

int __openat64_2(int directory, const char* path, int flags) {
    return on_path<Kind::open>(directory, path, [=](const char* p) {
        return next<"__openat64_2", int(int, const char*, int)>()(directory, p, flags);
    });
}

FILE* fopen(const char* path, const char* mode) {
    return on_path<Kind::open>(path, [=](const char* p) {
        return next<"fopen", FILE*(const char*, const char*)>()(p, mode);
    });
}

FILE* fopen64(const char* path, const char* mode) {
    return on_path<Kind::open>(path, [=](const char* p) {
        return next<"fopen64", FILE*(const char*, const char*)>()(p, mode);
    });
}

DIR* opendir(const char* path) {
    return on_path<Kind::open>(path, [](const char* p) {
        return next<"opendir", DIR*(const char*)>()(p);
    });
}

int stat(const char* path, struct stat* status) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"stat", int(const char*, struct stat*)>()(p, status);
    });
}

int stat64(const char* path, struct stat64* status) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"stat64", int(const char*, struct stat64*)>()(p, status);
    });
}

int lstat(const char* path, struct stat* status) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"lstat", int(const char*, struct stat*)>()(p, status);
    });
}

int lstat64(const char* path, struct stat64* status) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"lstat64", int(const char*, struct stat64*)>()(p, status);
    });
}

int fstatat(int directory, const char* path, struct stat* status, int flags) noexcept {
    return on_path<Kind::ask>(directory, path, [=](const char* p) {
        return next<"fstatat", int(int, const char*, struct stat*, int)>(
        )(directory, p, status, flags);
    });
}

int fstatat64(int directory, const char* path, struct stat64* status, int flags) noexcept {
    return on_path<Kind::ask>(directory, path, [=](const char* p) {
        return next<"fstatat64", int(int, const char*, struct stat64*, int)>(
        )(directory, p, status, flags);
    });
}

int __xstat(int version, const char* path, struct stat* status) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"__xstat", int(int, const char*, struct stat*)>()(version, p, status);
    });
}

int __xstat64(int version, const char* path, struct stat64* status) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"__xstat64", int(int, const char*, struct stat64*)>()(version, p, status);
    });
}

int __lxstat(int version, const char* path, struct stat* status) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"__lxstat", int(int, const char*, struct stat*)>()(version, p, status);
    });
}

int __lxstat64(int version, const char* path, struct stat64* status) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"__lxstat64", int(int, const char*, struct stat64*)>()(version, p, status);
    });
}

int __fxstatat(
    int version, int directory, const char* path, struct stat* status, int flags
) noexcept {
    return on_path<Kind::ask>(directory, path, [=](const char* p) {
        return next<"__fxstatat", int(int, int, const char*, struct stat*, int)>(
        )(version, directory, p, status, flags);
    });
}

int __fxstatat64(
    int version, int directory, const char* path, struct stat64* status, int flags
) noexcept {
    return on_path<Kind::ask>(directory, path, [=](const char* p) {
        return next<"__fxstatat64", int(int, int, const char*, struct stat64*, int)>(
        )(version, directory, p, status, flags);
    });
}

int statx(
    int directory, const char* path, int flags, unsigned mask, struct statx* status
) noexcept {
    return on_path<Kind::ask>(directory, path, [=](const char* p) {
        return next<"statx", int(int, const char*, int, unsigned, struct statx*)>(
        )(directory, p, flags, mask, status);
    });
}

ssize_t getxattr(const char* path, const char* name, void* value, size_t size) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"getxattr", ssize_t(const char*, const char*, void*, size_t)>(
        )(p, name, value, size);
    });
}

ssize_t lgetxattr(const char* path, const char* name, void* value, size_t size) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"lgetxattr", ssize_t(const char*, const char*, void*, size_t)>(
        )(p, name, value, size);
    });
}

ssize_t listxattr(const char* path, char* names, size_t size) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"listxattr", ssize_t(const char*, char*, size_t)>()(p, names, size);
    });
}

ssize_t llistxattr(const char* path, char* names, size_t size) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"llistxattr", ssize_t(const char*, char*, size_t)>()(p, names, size);
    });
}

char* realpath(const char* path, char* resolved) noexcept {
    return on_real_path(path, resolved, [=] {
        return next<"realpath", char*(const char*, char*)>()(path, resolved);
    });
}

char* __realpath_chk(const char* path, char* resolved, size_t size) noexcept {
    return on_real_path(path, resolved, [=] {
        return next<"__realpath_chk", char*(const char*, char*, size_t)>()(path, resolved, size);
    });
}

char* canonicalize_file_name(const char* path) noexcept {
    return on_real_path(path, nullptr, [=] {
        return next<"canonicalize_file_name", char*(const char*)>()(path);
    });
}

ssize_t readlink(const char* path, char* buffer, size_t size) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"readlink", ssize_t(const char*, char*, size_t)>()(p, buffer, size);
    });
}

ssize_t readlinkat(int directory, const char* path, char* buffer, size_t size) noexcept {
    return on_path<Kind::ask>(directory, path, [=](const char* p) {
        return next<"readlinkat", ssize_t(int, const char*, char*, size_t)>(
        )(directory, p, buffer, size);
    });
}

ssize_t __readlink_chk(const char* path, char* buffer, size_t size, size_t room) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"__readlink_chk", ssize_t(const char*, char*, size_t, size_t)>(
        )(p, buffer, size, room);
    });
}

ssize_t __readlinkat_chk(
    int directory, const char* path, char* buffer, size_t size, size_t room
) noexcept {
    return on_path<Kind::ask>(directory, path, [=](const char* p) {
        return next<"__readlinkat_chk", ssize_t(int, const char*, char*, size_t, size_t)>(
        )(directory, p, buffer, size, room);
    });
}

int chdir(const char* path) noexcept {
    const int result = on_path<Kind::ask>(path, [](const char* p) {
        return next<"chdir", int(const char*)>()(p);
    });
    if (result == 0) notice_working_directory();
    return result;
}

struct dirent* readdir(DIR* stream) {
    struct dirent* entry = next<"readdir", struct dirent*(DIR*)>()(stream);
    return entry != nullptr ? entry : further_entry(stream);
}

struct dirent64* readdir64(DIR* stream) {
    static_assert(sizeof(struct dirent) == sizeof(struct dirent64));
    struct dirent64* entry = next<"readdir64", struct dirent64*(DIR*)>()(stream);
    return entry != nullptr ? entry : reinterpret_cast<struct dirent64*>(further_entry(stream));
}

int closedir(DIR* stream) {
    forget_directory(stream);
    return next<"closedir", int(DIR*)>()(stream);
}

int access(const char* path, int mode) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"access", int(const char*, int)>()(p, mode);
    });
}

int faccessat(int directory, const char* path, int mode, int flags) noexcept {
    return on_path<Kind::ask>(directory, path, [=](const char* p) {
        return next<"faccessat", int(int, const char*, int, int)>()(directory, p, mode, flags);
    });
}

}  // extern "C"

#pragma GCC visibility pop
