#include "netlink-shim/launcher/supervisor.hpp"

#include "netlink-shim/launcher/option_calls.hpp"
#include "netlink-shim/launcher/path_calls.hpp"
#include "netlink-shim/launcher/receive_calls.hpp"
#include "netlink-shim/launcher/send_calls.hpp"
#include "netlink-shim/preload/netlink_redirect.hpp"

#include <exception>
#include <system_error>
#include <thread>

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

namespace nlvs::shim {

namespace {

constexpr int workers_at_first = 2;
constexpr int idle_workers_kept = 4;

// Linux 6.6: the two sides of a call take turns on one processor. Older headers lack it.
constexpr unsigned long set_flags = _IOW('!', 4, std::uint64_t);
constexpr unsigned long wake_on_same_processor = 1;

}  // namespace

Supervisor::Supervisor(int listener, const WatchedDescriptors& watched)
    : listener_(listener), descriptors_(watched) {
    // The redirections look at no socket in a process that has no generic netlink socket.
    notice_socket(AF_NETLINK, NETLINK_GENERIC);
    ioctl(listener_, set_flags, wake_on_same_processor);
}

void Supervisor::start() {
    for (int i = 0; i < workers_at_first; ++i) add_worker();
}

void Supervisor::add_worker() {
    ++idle_;
    try {
        std::thread([this] { work(); }).detach();
    } catch (const std::system_error&) {
        // Calls wait for one of the workers there are.
        --idle_;
        if (idle_ == 0) throw;
    }
}

void Supervisor::work() {
    for (;;) {
        const auto call = Call::next(listener_);
        if (!call && (errno == EINTR || errno == ENOENT)) continue;
        if (!call) return;
        try {
            if (--idle_ == 0) add_worker();
        } catch (const std::system_error&) {
        }
        Answer answer = Answer::failing(ENOMEM);
        try {
            answer = answer_to(*call);
        } catch (const std::bad_alloc&) {
        }
        // Idle before the caller goes on: its next call finds this worker.
        const bool enough = ++idle_ > idle_workers_kept;
        call->answer(answer);
        if (enough) {
            --idle_;
            return;
        }
    }
}

Answer Supervisor::answer_to(const Call& call) {
    switch (call.number()) {
        case SYS_socket:
            return descriptors_.answer_socket(call);
        case SYS_dup:
        case SYS_fcntl:
            return descriptors_.answer_duplicate(call);
#ifdef SYS_dup2
        case SYS_dup2:
#endif
        case SYS_dup3:
            return descriptors_.answer_duplicate_to(call);
        case SYS_write:
        case SYS_writev:
        case SYS_sendto:
        case SYS_sendmsg:
        case SYS_sendmmsg:
            return answer_send(call);
        case SYS_read:
        case SYS_readv:
        case SYS_recvfrom:
        case SYS_recvmsg:
        case SYS_recvmmsg:
            return answer_receive(call);
        case SYS_getsockopt:
            return answer_get_option(call);
        case SYS_setsockopt:
            return answer_set_option(call);
        case SYS_sendfile:
            return answer_copy(call);
        default:
            return answer_path(call);
    }
}

void Supervisor::wait() const {
    // Linux: seccomp.c seccomp_notify_poll — hang-up when the filter has no process left.
    pollfd event = {listener_, 0, 0};
    while (poll(&event, 1, -1) < 0 && errno == EINTR) continue;
}

}  // namespace nlvs::shim
