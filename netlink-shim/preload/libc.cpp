#include "netlink-shim/preload/libc.hpp"

#include "netlink-shim/preload/netlink_redirect.hpp"
#include "netlink-shim/preload/path_redirect.hpp"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

namespace nlvs::shim {

constinit std::atomic<void*> next_symbols[symbol_count] = {};

namespace {

long missing_call() noexcept {
    errno = ENOSYS;
    return -1;
}

void* missing_pointer() noexcept {
    errno = ENOSYS;
    return nullptr;
}

bool returns_pointer(std::size_t index) noexcept {
    return index == symbol_index<"fopen">() || index == symbol_index<"fopen64">() ||
           index == symbol_index<"opendir">() || index == symbol_index<"readdir">() ||
           index == symbol_index<"readdir64">() || index == symbol_index<"realpath">() ||
           index == symbol_index<"__realpath_chk">() ||
           index == symbol_index<"canonicalize_file_name">() || index == symbol_index<"getcwd">();
}

// At load, because dlsym takes the loader's lock: not allowed in a signal handler, nor in the
// child of a threaded process.
__attribute__((constructor)) void load() noexcept {
    const int saved = errno;
    for (std::size_t i = 0; i < symbol_count; ++i) resolve(i);
    notice_inherited_sockets();
    notice_working_directory();
    errno = saved;
}

}  // namespace

void* resolve(std::size_t index) noexcept {
    void* found = dlsym(RTLD_NEXT, symbols[index].name);
    if (found == nullptr) {
        found = returns_pointer(index) ? reinterpret_cast<void*>(missing_pointer)
                                       : reinterpret_cast<void*>(missing_call);
    }
    next_symbols[index].store(found, std::memory_order_relaxed);
    return found;
}

}  // namespace nlvs::shim
