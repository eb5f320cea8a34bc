#pragma once

#include "netlink-shim/launcher/descriptor.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

#include <sys/types.h>

namespace nlvs::shim {

/// What /proc/<thread>/status says about a supervised thread.
struct ThreadStatus {
    pid_t process = 0;
    pid_t process_in_its_namespace = 0;  ///< what getpid() says there
    uid_t file_user = 0;
    gid_t file_group = 0;
    std::uint64_t capabilities = 0;  ///< effective
    std::uint64_t pending_signals = 0;
    std::uint64_t blocked_signals = 0;
};

std::optional<ThreadStatus> parse_thread_status(std::string_view text);
std::optional<ThreadStatus> read_thread_status(pid_t thread);

/// A hold on a process; empty, with errno, if there is none.
Descriptor open_process(pid_t process);

/// A copy of its descriptor; both stand for the same open file.
/// Empty, with errno: EBADF if it has none with that number.
Descriptor copy_descriptor(const Descriptor& process, int number);

/// While it lives, the calling thread acts in the place of a supervised one: in the network
/// namespace meant, with its file user and group, and with no capability that the other lacks. A
/// caller in another user namespace has none of ours; the kernel then grants what the owner of that
/// namespace may do there.
class InPlaceOf {
public:
    /// `network_namespace` is an open namespace file, empty for the thread's current one.
    InPlaceOf(pid_t thread, const ThreadStatus& status, const Descriptor& network_namespace);
    ~InPlaceOf();

    InPlaceOf(const InPlaceOf&) = delete;
    InPlaceOf& operator=(const InPlaceOf&) = delete;

    /// False if the launcher may not go there, or cannot be as weak as the caller is.
    explicit operator bool() const noexcept { return possible_; }

private:
    bool enter(pid_t thread, const Descriptor& network_namespace);
    bool take_on(pid_t thread, const ThreadStatus& status);

    // Only if it is another than the one meant.
    Descriptor own_namespace_;
    std::uint64_t own_capabilities_ = 0;
    uid_t own_user_ = 0;
    gid_t own_group_ = 0;
    bool changed_ = false;
    bool possible_ = false;
};

/// The network namespace of a socket; empty if the kernel does not tell (no CAP_NET_ADMIN).
Descriptor network_namespace_file(int socket);

}  // namespace nlvs::shim
