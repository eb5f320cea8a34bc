#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

namespace nlvs::shim {

/// A hint: the working directory may be one of the daemon's. Every relative path is looked at then.
extern constinit std::atomic<bool> works_in_files;

/// After a change of the working directory, and at load. Keeps errno.
void notice_working_directory() noexcept;

/// Turns the path of a directory of the daemon's file system into that of the directory that it
/// stands for, in place; false, and unchanged, for others. Keeps errno.
bool give_official_name(char* directory) noexcept;

/// The path in the daemon's file system that stands for `path`, on the caller's stack; the kernel's
/// path for one that leads through our directory and out again.
class DaemonPath {
public:
    /// False if the path is not ours or no daemon with a file system serves its namespace: the
    /// caller's, or for "/proc/PID/net" that of the process. Keeps errno.
    bool find(const char* path) noexcept;

    /// The same for a path that may be relative to `directory` (or AT_FDCWD).
    bool find(int directory, const char* path) noexcept;

    const char* text() const noexcept { return text_; }

    /// The part of text() that mirrors the path below /proc.
    const char* below_proc() const noexcept { return text_ + root_length_; }

    /// Of "/proc/PID/net", else 0.
    std::uint32_t process() const noexcept { return process_; }

private:
    char text_[256];
    std::size_t root_length_ = 0;
    std::uint32_t process_ = 0;
};

// Linux: opening below /proc has no side effect, so what was opened can be given back.
void discard(int descriptor) noexcept;
void discard(FILE* stream) noexcept;
void discard(DIR* directory) noexcept;

inline bool has_failed(int result) noexcept {
    return result < 0;
}

inline bool has_failed(ssize_t result) noexcept {
    return result < 0;
}

inline bool has_failed(const void* result) noexcept {
    return result == nullptr;
}

/// False for most paths that are not below /proc, for the price of two bytes.
inline bool may_be_proc(const char* path) noexcept {
    return path[0] == '/' && (path[1] == 'p' || path[1] == '/' || path[1] == '.');
}

/// The same for relative paths: ip_vs*, ipv4/vs, vs, net/..., self/..., sys/..., thread-self/...,
/// PID/net/..., ./...; every one of ours has "vs" in it.
inline bool may_be_below_proc(const char* path) noexcept {
    const char first = path[0];
    if (first != 'i' && first != 'v' && first != 'n' && first != 's' && first != 't' &&
        first != '.' && (first < '0' || first > '9'))
        return false;
    return strstr(path, "vs") != nullptr;
}

enum class Kind { ask, open };

/// Calls first and looks at the path afterwards, on success too: the kernel has then vouched for
/// the pointer, and a program that never names our files pays for two of its bytes.
template <Kind kind, class Call>
auto on_path(int directory, const char* path, Call call) noexcept {
    const int saved = errno;
    auto result = call(path);
    if (has_failed(result) && errno == EFAULT) return result;
    if (!may_be_proc(path) && !may_be_below_proc(path) &&
        !works_in_files.load(std::memory_order_relaxed))
        return result;
    DaemonPath ours;
    if (!ours.find(directory, path)) return result;
    if constexpr (kind == Kind::open) {
        if (!has_failed(result)) discard(result);
    }
    errno = saved;
    return call(ours.text());
}

template <Kind kind, class Call>
auto on_path(const char* path, Call call) noexcept {
    return on_path<kind>(AT_FDCWD, path, call);
}

}  // namespace nlvs::shim
