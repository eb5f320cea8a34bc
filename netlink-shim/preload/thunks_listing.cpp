// The interposed calls of libc that list directories by themselves: it opens and reads there without
// calling the functions that we interpose.

#include "netlink-shim/preload/libc.hpp"
#include "netlink-shim/preload/path_redirect.hpp"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

using namespace nlvs::shim;

namespace {

/// The directory, or a part of the pattern, may be the working directory or below /proc.
bool may_list_ours(const char* path) noexcept {
    return path != nullptr && (path[0] != '/' || may_be_proc(path));
}

/// A list as scandir(3) makes it, its memory the caller's in the end.
struct Names {
    struct dirent** list = nullptr;
    std::size_t count = 0;
    std::size_t room = 0;

    bool add(const struct dirent& entry) noexcept {
        if (count == room) {
            const std::size_t wanted = room == 0 ? 16 : 2 * room;
            void* const more = realloc(list, wanted * sizeof(*list));
            if (more == nullptr) return false;
            list = static_cast<struct dirent**>(more);
            room = wanted;
        }
        auto* const copy = static_cast<struct dirent*>(malloc(entry.d_reclen));
        if (copy == nullptr) return false;
        memcpy(copy, &entry, entry.d_reclen);
        list[count++] = copy;
        return true;
    }

    void discard() noexcept {
        for (std::size_t i = 0; i < count; ++i) free(list[i]);
        free(list);
    }
};

using Select = int (*)(const struct dirent*);
using Compare = int (*)(const struct dirent**, const struct dirent**);

/// False, with errno, when the directory cannot be read or there is no memory.
bool read_names(DIR* stream, Select select, Names& names) {
    for (;;) {
        errno = 0;
        const struct dirent* const entry = readdir(stream);
        if (entry == nullptr) return errno == 0;
        if (select != nullptr && select(entry) == 0) continue;
        if (!names.add(*entry)) return false;
    }
}

/// scandir(3) by the functions that know our directories.
int scan(const char* path, struct dirent*** result, Select select, Compare compare) {
    const int saved = errno;
    DIR* const stream = opendir(path);
    if (stream == nullptr) return -1;
    Names names;
    const bool complete = read_names(stream, select, names);
    const int error = errno;
    closedir(stream);
    if (!complete) {
        names.discard();
        errno = error;
        return -1;
    }
    if (compare != nullptr && names.count > 1) {
        qsort(
            names.list, names.count, sizeof(*names.list),
            reinterpret_cast<int (*)(const void*, const void*)>(compare)
        );
    }
    *result = names.list;
    errno = saved;
    return static_cast<int>(names.count);
}

/// Has glob(3) call the functions that know our directories, which it does on request.
template <class Glob, class Call>
int with_our_functions(int flags, Glob* result, Call call) noexcept {
    result->gl_opendir = [](const char* path) -> void* { return opendir(path); };
    result->gl_closedir = [](void* stream) { closedir(static_cast<DIR*>(stream)); };
    if constexpr (requires { result->gl_readdir = static_cast<dirent* (*)(void*)>(nullptr); }) {
        result->gl_readdir = [](void* stream) { return readdir(static_cast<DIR*>(stream)); };
        result->gl_stat = [](const char* p, struct stat* s) { return stat(p, s); };
        result->gl_lstat = [](const char* p, struct stat* s) { return lstat(p, s); };
    } else {
        result->gl_readdir = [](void* stream) { return readdir64(static_cast<DIR*>(stream)); };
        result->gl_stat = [](const char* p, struct stat64* s) { return stat64(p, s); };
        result->gl_lstat = [](const char* p, struct stat64* s) { return lstat64(p, s); };
    }
    const int outcome = call(flags | GLOB_ALTDIRFUNC);
    result->gl_flags &= ~GLOB_ALTDIRFUNC;
    return outcome;
}

bool leaves_functions_to_us(const char* pattern, int flags, const void* result) noexcept {
    return may_list_ours(pattern) && result != nullptr && (flags & GLOB_ALTDIRFUNC) == 0;
}

}  // namespace

#pragma GCC visibility push(default)

extern "C" {

int scandir(const char* path, struct dirent*** result, Select select, Compare compare) {
    if (may_list_ours(path)) return scan(path, result, select, compare);
    return next<"scandir", int(const char*, struct dirent***, Select, Compare)>(
    )(path, result, select, compare);
}

int scandir64(
    const char* path, struct dirent64*** result, int (*select)(const struct dirent64*),
    int (*compare)(const struct dirent64**, const struct dirent64**)
) {
    static_assert(sizeof(struct dirent) == sizeof(struct dirent64));
    if (may_list_ours(path)) {
        return scan(
            path, reinterpret_cast<struct dirent***>(result), reinterpret_cast<Select>(select),
            reinterpret_cast<Compare>(compare)
        );
    }
    return next<
        "scandir64", int(const char*, struct dirent64***, int (*)(const struct dirent64*),
                         int (*)(const struct dirent64**, const struct dirent64**))>(
    )(path, result, select, compare);
}

int glob(
    const char* pattern, int flags, int (*failed)(const char*, int), glob_t* result
) noexcept {
    const auto call = [=](int f) {
        return next<"glob", int(const char*, int, int (*)(const char*, int), glob_t*)>(
        )(pattern, f, failed, result);
    };
    if (!leaves_functions_to_us(pattern, flags, result)) return call(flags);
    return with_our_functions(flags, result, call);
}

int glob64(
    const char* pattern, int flags, int (*failed)(const char*, int), glob64_t* result
) noexcept {
    const auto call = [=](int f) {
        return next<"glob64", int(const char*, int, int (*)(const char*, int), glob64_t*)>(
        )(pattern, f, failed, result);
    };
    if (!leaves_functions_to_us(pattern, flags, result)) return call(flags);
    return with_our_functions(flags, result, call);
}

}  // extern "C"

#pragma GCC visibility pop
