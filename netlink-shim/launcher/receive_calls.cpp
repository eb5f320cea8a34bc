#include "netlink-shim/launcher/receive_calls.hpp"

#include "netlink-shim/launcher/called_socket.hpp"
#include "netlink-shim/launcher/message.hpp"
#include "netlink-shim/preload/netlink_redirect.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

namespace nlvs::shim {

namespace {

using Clock = std::chrono::steady_clock;

// How often a waiting caller is asked whether it has a signal. Twice pending is one that its
// thread must take: another thread that could have taken it would have.
constexpr int signal_check_milliseconds = 20;

enum class Waited : std::uint8_t { ready, too_long, interrupted };

/// Whether the call may wait, and until when.
struct Patience {
    bool waits;
    std::optional<Clock::time_point> deadline;
};

Patience patience_of(int socket, int flags) {
    const bool waits = (flags & MSG_DONTWAIT) == 0 && (fcntl(socket, F_GETFL) & O_NONBLOCK) == 0;
    timeval limit = {};
    socklen_t size = sizeof(limit);
    getsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, &size);
    if (limit.tv_sec == 0 && limit.tv_usec == 0) return {waits, std::nullopt};
    return {
        waits,
        Clock::now() + std::chrono::seconds(limit.tv_sec) +
            std::chrono::microseconds(limit.tv_usec)};
}

bool has_signal(pid_t thread) {
    const auto status = read_thread_status(thread);
    return !status || (status->pending_signals & ~status->blocked_signals) != 0;
}

Waited wait(const Call& call, int socket, const Patience& patience) {
    bool signal_seen = false;
    for (;;) {
        int limit = signal_check_milliseconds;
        if (patience.deadline) {
            const auto rest =
                std::chrono::ceil<std::chrono::milliseconds>(*patience.deadline - Clock::now());
            limit = static_cast<int>(std::clamp<std::int64_t>(rest.count(), 0, limit));
        }
        pollfd event = {socket, POLLIN, 0};
        const int ready = poll(&event, 1, limit);
        if (ready != 0) return Waited::ready;
        if (patience.deadline && Clock::now() >= *patience.deadline) return Waited::too_long;
        if (!call.is_alive()) return Waited::interrupted;
        const bool signal = has_signal(call.thread());
        if (signal && signal_seen) return Waited::interrupted;
        signal_seen = signal;
    }
}

/// A client that does not wait relies on answers that the kernel would have made by now.
bool daemon_has_more(const Call& call, const CalledSocket& socket) {
    const InPlaceOf place(call.thread(), socket.caller, network_namespace_file(socket.get()));
    if (!place) return false;
    errno = EAGAIN;
    return has_more_after_failure(socket.get());
}

/// One message. -1 with errno; EINTR: nothing was received, the kernel shall go on.
ssize_t receive(
    const Call& call,
    const CalledSocket& socket,
    Message& message,
    int flags,
    const Patience& patience
) {
    bool asked = false;
    for (;;) {
        message.make_room();
        const ssize_t size = recvmsg(socket.get(), &message.local(), flags | MSG_DONTWAIT);
        if (size >= 0) {
            received(socket.get(), message.local(), message.name_capacity());
            return size;
        }
        if (errno != EAGAIN) return -1;
        const Waited waited =
            patience.waits ? wait(call, socket.get(), patience) : Waited::too_long;
        if (waited == Waited::ready) continue;
        if (waited == Waited::interrupted) {
            errno = EINTR;
            return -1;
        }
        if (asked || !daemon_has_more(call, socket)) {
            errno = EAGAIN;
            return -1;
        }
        asked = true;
    }
}

std::optional<Message> message_of(const Call& call) {
    const RemoteMemory memory = call.memory();
    switch (call.number()) {
        case SYS_readv:
            return Message::from_parts(memory, call.argument(1), call.argument(2));
        case SYS_recvmsg:
            return Message::from_header(memory, call.argument(1));
        default:
            break;
    }
    auto message = Message::from_buffer(call.argument(1), call.argument(2));
    if (message && call.number() == SYS_recvfrom && call.argument(4) != 0) {
        const auto capacity = memory.read<std::int32_t>(call.argument(5));
        if (!capacity || *capacity < 0) return std::nullopt;
        message->set_name(call.argument(4), static_cast<std::uint64_t>(*capacity));
    }
    return message;
}

bool deliver(const Call& call, Message& message, std::size_t size) {
    const RemoteMemory memory = call.memory();
    if (!message.deliver(memory, size)) return false;
    if (call.number() == SYS_recvmsg) return message.deliver_header(memory, call.argument(1));
    if (call.number() != SYS_recvfrom || call.argument(4) == 0) return true;
    const std::uint32_t length = message.local().msg_namelen;
    return memory.write(call.argument(5), &length, sizeof(length));
}

Answer answer_one(const Call& call, const CalledSocket& socket) {
    auto message = message_of(call);
    if (!message) return Answer::resume();
    int flags = 0;
    if (call.number() == SYS_recvfrom) flags = call.int_argument(3);
    if (call.number() == SYS_recvmsg) flags = call.int_argument(2);
    const bool reads = call.number() == SYS_read || call.number() == SYS_readv;
    // Linux: socket.c sock_read_iter — nothing is read into no room.
    if (reads && message->size() == 0) return Answer::resume();
    const Patience patience = patience_of(socket.get(), flags);
    // Nobody asks where it came from, and the kernel is better at waiting.
    if (patience.waits && !patience.deadline && !message->wants_name_or_control())
        return Answer::resume();
    const ssize_t size = receive(call, socket, *message, flags, patience);
    if (size < 0) return errno == EINTR ? Answer::resume() : Answer::failing(errno);
    return deliver(call, *message, static_cast<std::size_t>(size)) ? Answer::returning(size)
                                                                   : Answer::failing(EFAULT);
}

/// Linux: socket.c do_recvmmsg — the time limit is looked at after each message only, and what
/// is left of it is told.
class TimeLimit {
public:
    TimeLimit(const Call& call) : memory_(call.memory()), address_(call.argument(4)) {
        if (address_ == 0) return;
        limit_ = memory_.read<timespec>(address_);
        if (!limit_) return;
        end_ = Clock::now() + std::chrono::seconds(limit_->tv_sec) +
               std::chrono::nanoseconds(limit_->tv_nsec);
    }

    bool is_readable() const { return address_ == 0 || limit_; }

    bool is_over() const { return limit_ && Clock::now() >= end_; }

    void tell_rest() const {
        if (!limit_) return;
        const auto rest =
            std::max(std::chrono::nanoseconds(end_ - Clock::now()), std::chrono::nanoseconds(0));
        constexpr std::int64_t second = 1'000'000'000;
        const timespec left = {rest.count() / second, rest.count() % second};
        memory_.write(address_, &left, sizeof(left));
    }

private:
    RemoteMemory memory_;
    std::uint64_t address_;
    std::optional<timespec> limit_;
    Clock::time_point end_;
};

Answer answer_several(const Call& call, const CalledSocket& socket) {
    const RemoteMemory memory = call.memory();
    const auto count = std::min(static_cast<unsigned>(call.argument(2)), unsigned{IOV_MAX});
    const int flags = call.int_argument(3);
    Patience patience = patience_of(socket.get(), flags);
    const TimeLimit limit(call);
    if (!limit.is_readable()) return Answer::resume();
    unsigned done = 0;
    while (done < count) {
        const std::uint64_t address = call.argument(1) + done * sizeof(mmsghdr);
        auto message = Message::from_header(memory, address);
        if (!message && done == 0) return Answer::resume();
        const ssize_t size =
            message ? receive(call, socket, *message, flags & ~MSG_WAITFORONE, patience) : -1;
        if (size < 0) break;
        const auto length = static_cast<unsigned>(size);
        if (!message->deliver(memory, length) || !message->deliver_header(memory, address) ||
            !memory.write(address + offsetof(mmsghdr, msg_len), &length, sizeof(length))) {
            errno = EFAULT;
            break;
        }
        ++done;
        if ((flags & MSG_WAITFORONE) != 0) patience.waits = false;
        if (limit.is_over()) break;
    }
    if (done > 0 || count == 0) {
        limit.tell_rest();
        return Answer::returning(done);
    }
    return errno == EINTR ? Answer::resume() : Answer::failing(errno);
}

}  // namespace

Answer answer_receive(const Call& call) {
    const auto socket = CalledSocket::generic_netlink(call);
    if (!socket) return Answer::resume();
    return call.number() == SYS_recvmmsg ? answer_several(call, *socket)
                                         : answer_one(call, *socket);
}

}  // namespace nlvs::shim
