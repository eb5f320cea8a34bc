// The interposed calls that take a path. No decision lives here: core/rules and path_redirect.

#include "netlink-shim/preload/libc.hpp"
#include "netlink-shim/preload/path_redirect.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
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
    return on_path<Kind::open>(path, [=](const char* p) {
        return next<"openat", int(int, const char*, int, ...)>()(directory, p, flags, mode);
    });
}

int openat64(int directory, const char* path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    return on_path<Kind::open>(path, [=](const char* p) {
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
    return on_path<Kind::open>(path, [=](const char* p) {
        return next<"__openat_2", int(int, const char*, int)>()(directory, p, flags);
    });
}

int __openat64_2(int directory, const char* path, int flags) {
    return on_path<Kind::open>(path, [=](const char* p) {
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
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"fstatat", int(int, const char*, struct stat*, int)>(
        )(directory, p, status, flags);
    });
}

int fstatat64(int directory, const char* path, struct stat64* status, int flags) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
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
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"__fxstatat", int(int, int, const char*, struct stat*, int)>(
        )(version, directory, p, status, flags);
    });
}

int __fxstatat64(
    int version, int directory, const char* path, struct stat64* status, int flags
) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"__fxstatat64", int(int, int, const char*, struct stat64*, int)>(
        )(version, directory, p, status, flags);
    });
}

int statx(
    int directory, const char* path, int flags, unsigned mask, struct statx* status
) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"statx", int(int, const char*, int, unsigned, struct statx*)>(
        )(directory, p, flags, mask, status);
    });
}

int access(const char* path, int mode) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"access", int(const char*, int)>()(p, mode);
    });
}

int faccessat(int directory, const char* path, int mode, int flags) noexcept {
    return on_path<Kind::ask>(path, [=](const char* p) {
        return next<"faccessat", int(int, const char*, int, int)>()(directory, p, mode, flags);
    });
}

}  // extern "C"

#pragma GCC visibility pop
