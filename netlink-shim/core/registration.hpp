#pragma once

// How a daemon makes itself known to front ends. The file is text, one "key value" per line:
//
//     nlvs 1
//     port 4294963201
//     pid 4711
//     files /run/nlvs/4026531833/files
//
// "files" is the mount point of the daemon's file system, absent if there is none. The daemon
// renames a complete file into place and holds an open-file-description write lock on it for as
// long as it lives. The lock, not the file, says that the daemon is there: the kernel drops it
// however the daemon ends, it cannot be inherited by a process that got the daemon's pid or
// inode number, and it is visible across pid namespaces.

#include "netlink-shim/core/protocol.hpp"

#include <cstddef>
#include <cstdint>

#include <sys/types.h>

namespace nlvs::shim {

struct Registration {
    std::uint32_t port = 0;
    std::uint32_t pid = 0;
    char files[128] = {};  ///< empty: no file system
};

inline constexpr std::size_t max_registration_text = 256;

/// False for anything but a complete record.
bool parse_registration(const char* text, std::size_t size, Registration& result) noexcept;

/// Writes the text; returns its length, 0 if it does not fit.
std::size_t print_registration(
    const Registration& registration, char* text, std::size_t capacity
) noexcept;

enum class Lookup : std::uint8_t {
    absent,  ///< no daemon lives there: the caller's business is the kernel's
    found,
    failed,  ///< cannot tell (descriptor limit, …); errno says why
};

/// The run directory: NLVS_RUN_DIR, which set-user-id programs ignore, or the default.
const char* run_directory() noexcept;

/// Opens, for reading, a file that the daemon of the namespace keeps beside its registration; -1 with
/// errno. Whether that daemon lives is another question.
int open_beside_registration(std::uint64_t network_namespace, const char* name) noexcept;

/// The daemon of the network namespace with that inode number. Plain system calls: no
/// cancellation point, no allocation, async-signal-safe, changes errno.
Lookup find_daemon(std::uint64_t network_namespace, Registration& result) noexcept;

/// Inode number of the calling thread's network namespace, 0 if /proc does not tell.
std::uint64_t current_network_namespace() noexcept;

/// Inode number of that process's network namespace, 0 where the caller may not know it.
std::uint64_t network_namespace_of_process(std::uint32_t process) noexcept;

/// Inode number of a socket's network namespace; the calling thread's where the kernel does not
/// tell (no CAP_NET_ADMIN). 0 with errno on failure.
std::uint64_t network_namespace_of(int socket) noexcept;

}  // namespace nlvs::shim
