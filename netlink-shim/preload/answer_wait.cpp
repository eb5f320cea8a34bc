#include "netlink-shim/preload/answer_wait.hpp"

#include "netlink-shim/core/registration.hpp"

#include <atomic>
#include <cstddef>

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

namespace nlvs::shim {

namespace {

constexpr int milliseconds_between_looks = 500;
constexpr std::size_t watched_sockets = 1024;

// By descriptor, 0 for none. A hint: a number may since belong to another file.
constinit std::atomic<std::uint32_t> asked_port[watched_sockets] = {};

long poll_for(int socket, int milliseconds) noexcept {
    pollfd wanted = {socket, POLLIN, 0};
    return syscall(SYS_poll, &wanted, 1, milliseconds);
}

bool option_is(int socket, int option, int wanted) noexcept {
    int value = 0;
    socklen_t size = sizeof(value);
    return syscall(SYS_getsockopt, socket, SOL_SOCKET, option, &value, &size) == 0 &&
           value == wanted;
}

/// A generic netlink socket whose receive calls wait without a limit.
bool waits_for_ever(int socket) noexcept {
    if (!option_is(socket, SO_DOMAIN, AF_NETLINK) ||
        !option_is(socket, SO_PROTOCOL, NETLINK_GENERIC))
        return false;
    if ((syscall(SYS_fcntl, socket, F_GETFL) & O_NONBLOCK) != 0) return false;
    timeval limit = {};
    socklen_t size = sizeof(limit);
    return syscall(SYS_getsockopt, socket, SOL_SOCKET, SO_RCVTIMEO, &limit, &size) == 0 &&
           limit.tv_sec == 0 && limit.tv_usec == 0;
}

/// What the kernel does with a receive call when a signal was handled. poll() does not say which
/// one it was, so it is asked what all handlers have in common; mixed ones end the call.
bool signals_restart() noexcept {
    for (int number = 1; number < SIGRTMAX; ++number) {
        struct sigaction action;
        if (sigaction(number, nullptr, &action) != 0) continue;
        const bool handled = action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
        if (handled && (action.sa_flags & SA_RESTART) == 0) return false;
    }
    return true;
}

bool is_gone(int socket, std::uint32_t port) noexcept {
    Registration daemon;
    const Lookup lookup = find_daemon(network_namespace_of(socket), daemon);
    return lookup == Lookup::absent || (lookup == Lookup::found && daemon.port != port);
}

}  // namespace

void note_request(int socket, std::uint32_t port) noexcept {
    if (socket < 0 || static_cast<std::size_t>(socket) >= watched_sockets) return;
    asked_port[socket].store(port, std::memory_order_relaxed);
}

bool await_answer(int socket) noexcept {
    if (socket < 0 || static_cast<std::size_t>(socket) >= watched_sockets) return true;
    const std::uint32_t port = asked_port[socket].load(std::memory_order_relaxed);
    if (port == 0) [[likely]]
        return true;
    const int saved = errno;
    if (poll_for(socket, 0) != 0 || !waits_for_ever(socket)) {
        errno = saved;
        return true;
    }
    for (;;) {
        const long ready = poll_for(socket, milliseconds_between_looks);
        if (ready < 0 && errno == EINTR) {
            if (signals_restart()) continue;
            errno = EINTR;
            return false;
        }
        // What the daemon sent before it died is still to be read.
        const bool gone = ready == 0 && is_gone(socket, port) && poll_for(socket, 0) == 0;
        if (gone) {
            note_request(socket, 0);
            errno = ECONNRESET;
            return false;
        }
        if (ready != 0) break;
    }
    errno = saved;
    return true;
}

}  // namespace nlvs::shim
