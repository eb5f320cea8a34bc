#include "netlink-shim/preload/path_redirect.hpp"

#include "netlink-shim/core/registration.hpp"
#include "netlink-shim/core/rules.hpp"
#include "netlink-shim/preload/in_kernel_copy.hpp"

#include <atomic>

#include <string.h>
#include <sys/statfs.h>
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

/// Writes the absolute form of `path`; false unless the directory is /proc or below it, or is ours
/// and stands for one that is.
bool make_absolute(int directory, const char* path, char* absolute, std::size_t capacity) noexcept {
    char buffer[40];
    const long length =
        syscall(SYS_readlinkat, AT_FDCWD, link_of(directory, buffer), absolute, capacity - 1);
    if (length < 5) return false;
    absolute[length] = 0;
    if (memcmp(absolute, "/proc", 5) != 0 && !give_official_name(absolute)) return false;
    const auto used = strlen(absolute);
    const std::size_t rest = strlen(path);
    if (used + rest + 2 > capacity) return false;
    absolute[used] = '/';
    memcpy(absolute + used + 1, path, rest + 1);
    return true;
}

/// The daemon of the caller's or, if not 0, the process's namespace, with its file system.
bool find_files(std::uint32_t process, Registration& daemon) noexcept {
    const std::uint64_t network_namespace =
        process != 0 ? network_namespace_of_process(process) : current_network_namespace();
    return network_namespace != 0 && find_daemon(network_namespace, daemon) == Lookup::found &&
           daemon.files[0] != 0;
}

/// What is behind `root` in the path of a directory at or below it.
const char* rest_below(const char* path, const char* root) noexcept {
    const std::size_t length = strlen(root);
    if (strncmp(path, root, length) != 0) return nullptr;
    return path[length] == 0 || path[length] == '/' ? path + length : nullptr;
}

}  // namespace

constinit std::atomic<bool> works_in_files = false;

void notice_working_directory() noexcept {
    const int saved = errno;
    char directory[256];
    const long length =
        syscall(SYS_readlinkat, AT_FDCWD, "/proc/thread-self/cwd", directory, sizeof(directory) - 1);
    errno = saved;
    if (length <= 0) return;
    directory[length] = 0;
    works_in_files.store(
        rest_below(directory, run_directory()) != nullptr, std::memory_order_relaxed
    );
}

/// A daemon in a mount namespace of its own names its files by way of its process.
const char* within_its_namespace(const char* files) noexcept {
    if (strncmp(files, "/proc/", 6) != 0) return files;
    const char* const root = files + 6 + strspn(files + 6, "0123456789");
    return strncmp(root, "/root/", 6) == 0 ? root + 5 : files;
}

bool give_official_name(char* directory) noexcept {
    const int saved = errno;
    Registration daemon;
    const bool found = rest_below(directory, run_directory()) != nullptr && find_files(0, daemon);
    errno = saved;
    const char* const rest =
        found ? rest_below(directory, within_its_namespace(daemon.files)) : nullptr;
    // The root of the file system must not be shorter than what it stands for.
    if (rest == nullptr || rest - directory < 5) return false;
    memmove(directory + 5, rest, strlen(rest) + 1);
    memcpy(directory, "/proc", 5);
    return true;
}

bool DaemonPath::find(const char* path) noexcept {
    char remainder[128];
    const std::size_t length = daemon_path(path, remainder, sizeof(remainder), &process_);
    const std::size_t out = length == 0 ? way_out(path, text_, sizeof(text_)) : 0;
    if (length == 0 && out == 0) return false;
    const int saved = errno;
    Registration daemon;
    const bool found = find_files(process_, daemon);
    errno = saved;
    if (!found) return false;
    root_length_ = out > 0 ? strlen("/proc") : strlen(daemon.files);
    if (out > 0) return true;
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

bool is_daemons_file(int descriptor) noexcept {
    constexpr long fuse = 0x65735546;  // Linux: include/uapi/linux/magic.h lacks it
    const int saved = errno;
    struct statfs system;
    bool ours = syscall(SYS_fstatfs, descriptor, &system) == 0 && system.f_type == fuse;
    if (ours) {
        char path[256];
        char buffer[40];
        const long length =
            syscall(SYS_readlinkat, AT_FDCWD, link_of(descriptor, buffer), path, sizeof(path) - 1);
        path[length > 0 ? length : 0] = 0;
        ours = rest_below(path, run_directory()) != nullptr;
    }
    errno = saved;
    return ours;
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
