#include "netlink-shim/launcher/descriptor_calls.hpp"

#include "netlink-shim/launcher/called_socket.hpp"

#include <algorithm>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

namespace nlvs::shim {

bool DescriptorCalls::is_watched(std::uint32_t number) const noexcept {
    return std::ranges::any_of(watched_, [=](const DescriptorRange& range) {
        return number >= range.first && number < range.end;
    });
}

Answer DescriptorCalls::give(
    const Call& call,
    const ThreadStatus& caller,
    const Descriptor& file,
    std::uint32_t minimum,
    bool close_on_exec
) {
    const Descriptor process = open_process(caller.process);
    if (!process) return Answer::resume();
    const std::scoped_lock lock(numbering_);
    for (const DescriptorRange& range : watched_) {
        // Downwards: the program's own descriptors come from below.
        for (std::uint32_t number = range.end; number-- > std::max(range.first, minimum);) {
            if (copy_descriptor(process, static_cast<int>(number))) continue;
            if (errno != EBADF) return Answer::resume();
            if (call.answer_with_file(file.get(), static_cast<int>(number), close_on_exec))
                return Answer::given();
            // Linux: fs/file.c replace_fd — EBADF for a number above the caller's limit.
            if (errno != EBADF) return Answer::failing(errno);
        }
    }
    return Answer::failing(EMFILE);
}

Answer DescriptorCalls::answer_socket(const Call& call) {
    const auto caller = read_thread_status(call.thread());
    if (!caller || !call.is_alive()) return Answer::resume();
    Descriptor opened;
    {
        const InPlaceOf place(call.thread(), *caller, Descriptor());
        if (!place) return Answer::resume();
        const int type = call.int_argument(1);
        opened =
            Descriptor(socket(call.int_argument(0), type | SOCK_CLOEXEC, call.int_argument(2)));
        if (!opened) return Answer::failing(errno);
    }
    return give(call, *caller, opened, 0, (call.int_argument(1) & SOCK_CLOEXEC) != 0);
}

Answer DescriptorCalls::answer_duplicate(const Call& call) {
    const auto socket = CalledSocket::generic_netlink(call);
    if (!socket) return Answer::resume();
    const bool by_fcntl = call.number() == SYS_fcntl;
    const auto minimum = by_fcntl ? static_cast<std::uint32_t>(call.argument(2)) : 0;
    const bool close_on_exec = by_fcntl && call.int_argument(1) == F_DUPFD_CLOEXEC;
    return give(call, socket->caller, socket->file, minimum, close_on_exec);
}

Answer DescriptorCalls::answer_duplicate_to(const Call& call) const {
    if (call.int_argument(0) == call.int_argument(1)) return Answer::resume();
    if (is_watched(static_cast<std::uint32_t>(call.argument(1)))) return Answer::resume();
    return CalledSocket::generic_netlink(call) ? Answer::failing(EMFILE) : Answer::resume();
}

}  // namespace nlvs::shim
