#include "netlink-shim/core/registration.hpp"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nlvs::shim {

namespace {

constexpr char first_line[] = "nlvs 1";

/// Appends to a fixed buffer; once something does not fit, nothing more is written.
class Text {
public:
    Text(char* buffer, std::size_t capacity) noexcept : buffer_(buffer), capacity_(capacity) {}

    Text& add(const char* text) noexcept {
        const std::size_t size = strlen(text);
        if (!fits_ || length_ + size + 1 > capacity_) {
            fits_ = false;
            return *this;
        }
        memcpy(buffer_ + length_, text, size + 1);
        length_ += size;
        return *this;
    }

    Text& add(std::uint64_t number) noexcept {
        char digits[24];
        char* at = digits + sizeof(digits) - 1;
        *at = 0;
        do {
            *--at = static_cast<char>('0' + number % 10);
            number /= 10;
        } while (number != 0);
        return add(at);
    }

    std::size_t length() const noexcept { return fits_ ? length_ : 0; }

private:
    char* buffer_;
    std::size_t capacity_;
    std::size_t length_ = 0;
    bool fits_ = true;
};

bool parse_number(const char* text, std::size_t size, std::uint32_t& result) noexcept {
    std::uint64_t number = 0;
    if (size == 0 || size > 10) return false;
    for (std::size_t i = 0; i < size; ++i) {
        if (text[i] < '0' || text[i] > '9') return false;
        number = number * 10 + static_cast<std::uint64_t>(text[i] - '0');
    }
    result = static_cast<std::uint32_t>(number);
    return number != 0 && number == result;
}

/// The value of a line "key value", or nullptr if it has another key.
const char* value_of(const char* line, std::size_t size, const char* key) noexcept {
    const std::size_t length = strlen(key);
    if (size <= length + 1 || memcmp(line, key, length) != 0 || line[length] != ' ') return nullptr;
    return line + length + 1;
}

bool parse_line(const char* line, std::size_t size, Registration& result) noexcept {
    if (const char* value = value_of(line, size, "port"))
        return parse_number(value, size - static_cast<std::size_t>(value - line), result.port);
    if (const char* value = value_of(line, size, "pid"))
        return parse_number(value, size - static_cast<std::size_t>(value - line), result.pid);
    if (const char* value = value_of(line, size, "files")) {
        const std::size_t length = size - static_cast<std::size_t>(value - line);
        if (length >= sizeof(result.files)) return false;
        memcpy(result.files, value, length);
        result.files[length] = 0;
    }
    return true;
}

int open_for_reading(const char* path) noexcept {
    return static_cast<int>(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0));
}

void close_keeping_errno(int descriptor) noexcept {
    const int saved = errno;
    syscall(SYS_close, descriptor);
    errno = saved;
}

std::uint64_t inode_of(int descriptor) noexcept {
    struct stat status;
    return syscall(SYS_fstat, descriptor, &status) == 0 ? status.st_ino : 0;
}

/// Linux: fs/locks.c fcntl_getlk — tells of a lock that would conflict without taking one.
Lookup is_locked(int descriptor) noexcept {
    struct flock lock = {};
    lock.l_type = F_RDLCK;
    lock.l_whence = SEEK_SET;
    if (syscall(SYS_fcntl, descriptor, F_OFD_GETLK, &lock) != 0) return Lookup::failed;
    return lock.l_type == F_UNLCK ? Lookup::absent : Lookup::found;
}

Lookup read_registration(int descriptor, Registration& result) noexcept {
    struct stat status;
    if (syscall(SYS_fstat, descriptor, &status) != 0) return Lookup::failed;
    if (status.st_uid != 0 && status.st_uid != geteuid()) return Lookup::absent;
    const Lookup alive = is_locked(descriptor);
    if (alive != Lookup::found) return alive;
    char text[max_registration_text];
    const long size = syscall(SYS_read, descriptor, text, sizeof(text));
    if (size < 0) return Lookup::failed;
    if (parse_registration(text, static_cast<std::size_t>(size), result)) return Lookup::found;
    errno = EPROTO;
    return Lookup::failed;
}

}  // namespace

bool parse_registration(const char* text, std::size_t size, Registration& result) noexcept {
    result = {};
    bool first = true;
    while (size > 0) {
        const void* end = memchr(text, '\n', size);
        if (end == nullptr) return false;
        const auto length = static_cast<std::size_t>(static_cast<const char*>(end) - text);
        if (first) {
            if (length != sizeof(first_line) - 1 || memcmp(text, first_line, length) != 0)
                return false;
        } else if (!parse_line(text, length, result)) {
            return false;
        }
        first = false;
        text += length + 1;
        size -= length + 1;
    }
    return result.port != 0 && result.pid != 0;
}

std::size_t print_registration(
    const Registration& registration, char* text, std::size_t capacity
) noexcept {
    Text output(text, capacity);
    output.add(first_line).add("\nport ").add(registration.port);
    output.add("\npid ").add(registration.pid);
    if (registration.files[0] != 0) output.add("\nfiles ").add(registration.files);
    return output.add("\n").length();
}

const char* run_directory() noexcept {
    const char* chosen = secure_getenv(run_directory_variable);
    return chosen != nullptr && chosen[0] == '/' ? chosen : default_run_directory;
}

int open_beside_registration(std::uint64_t network_namespace, const char* name) noexcept {
    char path[256];
    Text text(path, sizeof(path));
    text.add(run_directory()).add("/").add(network_namespace).add("/");
    if (text.add(name).length() > 0) return open_for_reading(path);
    errno = ENOENT;
    return -1;
}

Lookup find_daemon(std::uint64_t network_namespace, Registration& result) noexcept {
    const int descriptor = open_beside_registration(network_namespace, registration_file_name);
    if (descriptor < 0)
        return errno == ENOENT || errno == ENOTDIR ? Lookup::absent : Lookup::failed;
    const Lookup lookup = read_registration(descriptor, result);
    close_keeping_errno(descriptor);
    return lookup;
}

std::uint64_t current_network_namespace() noexcept {
    struct stat status;
    constexpr char path[] = "/proc/thread-self/ns/net";
    return syscall(SYS_newfstatat, AT_FDCWD, path, &status, 0) == 0 ? status.st_ino : 0;
}

std::uint64_t network_namespace_of_process(std::uint32_t process) noexcept {
    char path[48];
    Text text(path, sizeof(path));
    struct stat status;
    text.add("/proc/").add(process).add("/ns/net");
    return syscall(SYS_newfstatat, AT_FDCWD, path, &status, 0) == 0 ? status.st_ino : 0;
}

std::uint64_t network_namespace_of(int socket) noexcept {
    const auto descriptor = static_cast<int>(syscall(SYS_ioctl, socket, SIOCGSKNS, 0));
    if (descriptor < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) return 0;
        return current_network_namespace();
    }
    const std::uint64_t inode = inode_of(descriptor);
    close_keeping_errno(descriptor);
    return inode;
}

}  // namespace nlvs::shim
