#pragma once

#include "netlink-shim/preload/path_redirect.hpp"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nlvs::shim {

/// What the kernel calls the file: without links, so below "/proc/PID/net" or "/proc/sys".
inline bool official_name(const DaemonPath& path, char* name, std::size_t capacity) noexcept {
    const char* below = path.below_proc();
    const bool of_process = strncmp(below, "/net/", 5) == 0;
    const auto process =
        path.process() != 0 ? path.process() : static_cast<std::uint32_t>(getpid());
    const int length = of_process ? snprintf(name, capacity, "/proc/%u%s", process, below)
                                  : snprintf(name, capacity, "/proc%s", below);
    if (length <= 0 || static_cast<std::size_t>(length) >= capacity) return false;
    if (name[length - 1] == '/') name[length - 1] = 0;
    return true;
}

/// realpath(3): the name stays the kernel's; whether there is such a file the daemon knows.
/// `call` is what the program would have got without us.
template <class Call>
char* on_real_path(const char* path, char* resolved, Call call) noexcept {
    const int saved = errno;
    char* result = call();
    if (path == nullptr || (!may_be_proc(path) && !may_be_below_proc(path) &&
                            !works_in_files.load(std::memory_order_relaxed)))
        return result;
    DaemonPath ours;
    if (!ours.find(AT_FDCWD, path)) return result;
    if (result != nullptr && resolved == nullptr) free(result);
    errno = saved;
    if (syscall(SYS_faccessat, AT_FDCWD, ours.text(), F_OK) != 0) return nullptr;
    char name[192];
    if (!official_name(ours, name, sizeof(name))) return nullptr;
    return resolved == nullptr ? strdup(name) : strcpy(resolved, name);
}

}  // namespace nlvs::shim
