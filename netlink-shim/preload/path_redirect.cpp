#include "netlink-shim/preload/path_redirect.hpp"

#include "netlink-shim/core/registration.hpp"
#include "netlink-shim/core/rules.hpp"

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nlvs::shim {

namespace {

/// "/proc/self/fd/" and the number, or the working directory's link.
const char* link_of(int directory, char (&buffer)[40]) noexcept {
    if (directory == AT_FDCWD) return "/proc/thread-self/cwd";
    char digits[16];
    char* at = digits + sizeof(digits) - 1;
    *at = 0;
    for (auto number = static_cast<unsigned>(directory); at == digits + sizeof(digits) - 1 || number != 0;
         number /= 10) {
        *--at = static_cast<char>('0' + number % 10);
    }
    strcpy(buffer, "/proc/self/fd/");
    strcat(buffer, at);
    return buffer;
}

/// Writes the absolute form of `path`; false unless the directory is /proc or below it.
bool make_absolute(int directory, const char* path, char* absolute, std::size_t capacity) noexcept {
    char buffer[40];
    const long length =
        syscall(SYS_readlinkat, AT_FDCWD, link_of(directory, buffer), absolute, capacity - 1);
    if (length < 5 || memcmp(absolute, "/proc", 5) != 0) return false;
    const auto used = static_cast<std::size_t>(length);
    const std::size_t rest = strlen(path);
    if (used + rest + 2 > capacity) return false;
    absolute[used] = '/';
    memcpy(absolute + used + 1, path, rest + 1);
    return true;
}

}  // namespace

bool DaemonPath::find(const char* path) noexcept {
    char remainder[128];
    const std::size_t length = daemon_path(path, remainder, sizeof(remainder), &process_);
    if (length == 0) return false;
    const int saved = errno;
    Registration daemon;
    const std::uint64_t network_namespace =
        process_ != 0 ? network_namespace_of_process(process_) : current_network_namespace();
    const Lookup lookup =
        network_namespace != 0 ? find_daemon(network_namespace, daemon) : Lookup::absent;
    errno = saved;
    if (lookup != Lookup::found || daemon.files[0] == 0) return false;
    root_length_ = strlen(daemon.files);
    if (root_length_ + length + 1 > sizeof(text_)) return false;
    memcpy(text_, daemon.files, root_length_);
    memcpy(text_ + root_length_, remainder, length + 1);
    return true;
}

bool DaemonPath::find(int directory, const char* path) noexcept {
    if (path[0] == '/') return find(path);
    const int saved = errno;
    char absolute[256];
    const bool below_proc = make_absolute(directory, path, absolute, sizeof(absolute));
    errno = saved;
    return below_proc && find(absolute);
}

void discard(int descriptor) noexcept {
    syscall(SYS_close, descriptor);
}

void discard(FILE* stream) noexcept {
    fclose(stream);
}

void discard(DIR* directory) noexcept {
    closedir(directory);
}

}  // namespace nlvs::shim
