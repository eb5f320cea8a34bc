#pragma once

#include <cstddef>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>

namespace nlvs::shim {

/// The path in the daemon's file system that stands for `path`, on the caller's stack.
class DaemonPath {
public:
    /// False if the path is not ours or no daemon with a file system serves this namespace.
    /// Keeps errno.
    bool find(const char* path) noexcept;

    const char* text() const noexcept { return text_; }

private:
    char text_[256];
};

// Linux: opening below /proc has no side effect, so what was opened can be given back.
void discard(int descriptor) noexcept;
void discard(FILE* stream) noexcept;
void discard(DIR* directory) noexcept;

inline bool has_failed(int result) noexcept {
    return result < 0;
}

inline bool has_failed(const void* result) noexcept {
    return result == nullptr;
}

/// False for most paths that are not below /proc, for the price of two bytes.
inline bool may_be_proc(const char* path) noexcept {
    return path[0] == '/' && (path[1] == 'p' || path[1] == '/' || path[1] == '.');
}

enum class Kind { ask, open };

/// Calls first and looks at the path afterwards, on success too: the kernel has then vouched for
/// the pointer, and a program that never names our files pays for two of its bytes.
template <Kind kind, class Call>
auto on_path(const char* path, Call call) noexcept {
    const int saved = errno;
    auto result = call(path);
    if (has_failed(result) && errno == EFAULT) return result;
    if (!may_be_proc(path)) return result;
    DaemonPath ours;
    if (!ours.find(path)) return result;
    if constexpr (kind == Kind::open) {
        if (!has_failed(result)) discard(result);
    }
    errno = saved;
    return call(ours.text());
}

}  // namespace nlvs::shim
