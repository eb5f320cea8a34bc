#include "netlink-shim/preload/netlink_redirect.hpp"

#include "netlink-shim/core/registration.hpp"
#include "netlink-shim/core/rules.hpp"
#include "netlink-shim/preload/answer_wait.hpp"
#include "netlink-shim/preload/libc.hpp"
#include "netlink-shim/preload/socket_kind.hpp"
#include "netlink-shim/preload/with_options.hpp"

#include <atomic>

#include <errno.h>
#include <limits.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

namespace nlvs::shim {

constinit std::atomic<unsigned char> netlink_seen = 0;

namespace {

constexpr int inherited_scan = 32;
constexpr std::size_t max_parts = WithOptions::max_parts;
// For a daemon that is stopped or busy; it never holds up a client that does not wait for long.
constexpr timeval longest_wait = {0, 100'000};

// Hints. Daemons that were asked, the latest first: the answers of one that is gone are still to come.
constexpr std::size_t remembered_daemons = 4;
constinit std::atomic<std::uint32_t> asked_daemons[remembered_daemons] = {};

void remember_daemon(std::uint32_t port) noexcept {
    if (asked_daemons[0].load(std::memory_order_relaxed) == port) return;
    for (std::size_t i = remembered_daemons - 1; i > 0; --i) {
        const std::uint32_t later = asked_daemons[i - 1].load(std::memory_order_relaxed);
        asked_daemons[i].store(later, std::memory_order_relaxed);
    }
    asked_daemons[0].store(port, std::memory_order_relaxed);
}

bool has_asked() noexcept {
    return asked_daemons[0].load(std::memory_order_relaxed) != 0;
}

bool was_asked(std::uint32_t port) noexcept {
    for (const std::atomic<std::uint32_t>& place : asked_daemons) {
        if (place.load(std::memory_order_relaxed) == port) return true;
    }
    return false;
}

bool is_generic_netlink(int socket) noexcept {
    return is_netlink(socket, NETLINK_GENERIC);
}

/// Linux: af_netlink.c netlink_getname — port and groups are 0 unless connected elsewhere.
bool peer_is_kernel(int socket) noexcept {
    sockaddr_nl peer = {};
    socklen_t size = sizeof(peer);
    return syscall(SYS_getpeername, socket, &peer, &size) == 0 && peer.nl_family == AF_NETLINK &&
           peer.nl_pid == 0 && peer.nl_groups == 0;
}

bool goes_to_kernel(int socket, const msghdr& message) noexcept {
    if (message.msg_name == nullptr || message.msg_namelen == 0) return peer_is_kernel(socket);
    sockaddr_nl name;
    if (message.msg_namelen < sizeof(name)) return false;
    memcpy(&name, message.msg_name, sizeof(name));
    return name.nl_family == AF_NETLINK && name.nl_pid == 0 && name.nl_groups == 0;
}

bool names_other_family(const msghdr& message) noexcept {
    if (message.msg_name == nullptr || message.msg_namelen < sizeof(sa_family_t)) return false;
    sa_family_t family;
    memcpy(&family, message.msg_name, sizeof(family));
    return family != AF_NETLINK;
}

/// Linux: af_netlink.c netlink_getsockbyportid — a socket connected to the kernel refuses
/// datagrams from elsewhere. Without a peer it sends to the kernel just the same.
void forget_kernel_peer(int socket) noexcept {
    if (!peer_is_kernel(socket)) return;
    sockaddr nobody = {};
    nobody.sa_family = AF_UNSPEC;
    syscall(SYS_connect, socket, &nobody, sizeof(nobody));
}

ssize_t send_on(int socket, const msghdr& message, int flags) noexcept {
    return next<"sendmsg", ssize_t(int, const msghdr*, int)>()(socket, &message, flags);
}

/// One attempt at the daemon's port, and another if it turns out to have been replaced.
ssize_t send_to_daemon(
    int socket, const msghdr& message, int flags, Recipient recipient, Registration daemon
) noexcept {
    forget_kernel_peer(socket);
    msghdr redirected = message;
    const WithOptions options(socket, redirected);
    for (;;) {
        sockaddr_nl name = {};
        name.nl_family = AF_NETLINK;
        name.nl_pid = daemon.port;
        redirected.msg_name = &name;
        redirected.msg_namelen = sizeof(name);
        remember_daemon(daemon.port);
        note_request(socket, daemon.port);
        const ssize_t sent = send_on(socket, redirected, flags);
        if (sent >= 0) return sent - options.size();
        note_request(socket, 0);
        if (errno == EPERM && recipient == Recipient::daemon_preferred)
            return send_on(socket, message, flags);
        if (errno != ECONNREFUSED) return -1;
        const std::uint32_t refused = daemon.port;
        const Lookup lookup = find_daemon(network_namespace_of(socket), daemon);
        if (lookup == Lookup::absent) return send_on(socket, message, flags);
        if (lookup == Lookup::failed) return -1;
        if (daemon.port == refused) {
            errno = ECONNREFUSED;
            return -1;
        }
    }
}

std::uint32_t port_of(int socket) noexcept {
    sockaddr_nl name = {};
    socklen_t size = sizeof(name);
    return syscall(SYS_getsockname, socket, &name, &size) == 0 ? name.nl_pid : 0;
}

/// True once the daemon has sent `client` all that it can be given now.
bool flush_answers(std::uint32_t daemon, std::uint32_t client) noexcept {
    const auto socket =
        static_cast<int>(syscall(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC));
    if (socket < 0) return false;
    syscall(SYS_setsockopt, socket, SOL_SOCKET, SO_RCVTIMEO, &longest_wait, sizeof(longest_wait));

    struct {
        nlmsghdr header;
        std::uint32_t client;
    } request = {{sizeof(request), flush_message_type, NLM_F_REQUEST, 0, 0}, client};

    sockaddr_nl name = {};
    name.nl_family = AF_NETLINK;
    name.nl_pid = daemon;
    const bool sent =
        syscall(SYS_sendto, socket, &request, sizeof(request), 0, &name, sizeof(name)) >= 0;
    const bool flushed =
        sent && syscall(SYS_recvfrom, socket, &request, sizeof(request), 0, nullptr, nullptr) >= 0;
    syscall(SYS_close, socket);
    return flushed;
}

/// The kernel handles the messages of a datagram one after the other, so runs for different
/// recipients may travel apart, each when the one before has been answered.
ssize_t send_runs(
    int socket,
    const msghdr& message,
    int flags,
    const ScatteredBytes& bytes,
    const Registration& daemon
) noexcept {
    std::size_t offset = 0;
    bool asked_daemon = false;
    while (offset < bytes.size()) {
        const Run run = next_run(bytes, offset);
        if (asked_daemon) flush_answers(daemon.port, port_of(socket));
        asked_daemon = run.recipient != Recipient::kernel;
        iovec parts[max_parts];
        msghdr piece = message;
        if (run.length < bytes.size()) {
            piece.msg_iov = parts;
            piece.msg_iovlen = bytes.slice(offset, run.length, parts, max_parts);
            if (piece.msg_iovlen == 0) {
                errno = EMSGSIZE;
                return offset > 0 ? static_cast<ssize_t>(offset) : -1;
            }
        }
        const ssize_t sent = run.recipient == Recipient::kernel
                                 ? send_on(socket, piece, flags)
                                 : send_to_daemon(socket, piece, flags, run.recipient, daemon);
        if (sent < 0) return offset > 0 ? static_cast<ssize_t>(offset) : -1;
        offset += run.length;
    }
    return static_cast<ssize_t>(bytes.size());
}

bool concerns_daemon(const ScatteredBytes& bytes) noexcept {
    const Run run = next_run(bytes, 0);
    return run.length > 0 && (run.recipient != Recipient::kernel || run.length < bytes.size());
}

/// Whether `message` is for a daemon. On Lookup::failed errno says why; otherwise it is kept.
Lookup daemon_for(int socket, const msghdr& message, Registration& daemon) noexcept {
    const int saved = errno;
    Lookup lookup = Lookup::absent;
    if (goes_to_kernel(socket, message) && is_generic_netlink(socket)) {
        const std::uint64_t network_namespace = network_namespace_of(socket);
        lookup = network_namespace != 0 ? find_daemon(network_namespace, daemon) : Lookup::failed;
    }
    if (lookup != Lookup::failed) errno = saved;
    return lookup;
}

bool is_daemon_port(int socket, std::uint32_t port) noexcept {
    if (!is_generic_netlink(socket)) return false;
    if (was_asked(port)) return true;
    Registration daemon;
    return find_daemon(network_namespace_of(socket), daemon) == Lookup::found &&
           daemon.port == port;
}

/// True if the sender was the daemon and is the kernel now.
bool rewrite_sender(int socket, void* name, std::size_t capacity) noexcept {
    constexpr std::size_t needed = offsetof(sockaddr_nl, nl_pid) + sizeof(std::uint32_t);
    if (name == nullptr || capacity < needed) return false;
    sockaddr_nl sender = {};
    memcpy(&sender, name, needed);
    if (sender.nl_family != AF_NETLINK || sender.nl_pid == 0) return false;
    if (!is_daemon_port(socket, sender.nl_pid)) return false;
    sender.nl_pid = 0;
    memcpy(name, &sender, needed);
    return true;
}

}  // namespace

void notice_socket(int domain, int protocol) noexcept {
    if (domain != AF_NETLINK) return;
    if (protocol == NETLINK_GENERIC) netlink_seen.fetch_or(generic_netlink, std::memory_order_relaxed);
    if (protocol == NETLINK_ROUTE) netlink_seen.fetch_or(route_netlink, std::memory_order_relaxed);
}

void notice_inherited_sockets() noexcept {
    const KeepErrno keep;
    for (int descriptor = 0; descriptor < inherited_scan; ++descriptor) {
        if (socket_option_is(descriptor, SO_DOMAIN, AF_NETLINK))
            netlink_seen.fetch_or(generic_netlink, std::memory_order_relaxed);
    }
}

bool redirect_send(int socket, const msghdr* unread, int flags, ssize_t& result) noexcept {
    if (unread == nullptr) return false;
    const msghdr& message = *unread;
    if (names_other_family(message) || message.msg_iovlen > IOV_MAX) return false;
    const ScatteredBytes bytes(message.msg_iov, message.msg_iovlen);
    if (!concerns_daemon(bytes)) return false;
    Registration daemon;
    switch (daemon_for(socket, message, daemon)) {
        case Lookup::absent:
            return false;
        case Lookup::failed:
            result = -1;
            return true;
        case Lookup::found:
            break;
    }
    const int saved = errno;
    result = send_runs(socket, message, flags, bytes, daemon);
    if (result >= 0) errno = saved;
    return true;
}

bool redirect_sendto(
    int socket,
    const void* bytes,
    std::size_t size,
    int flags,
    const sockaddr* name,
    socklen_t length,
    ssize_t& result
) noexcept {
    iovec only = {const_cast<void*>(bytes), size};
    msghdr message = {};
    message.msg_name = const_cast<sockaddr*>(name);
    message.msg_namelen = name != nullptr ? length : 0;
    message.msg_iov = &only;
    message.msg_iovlen = 1;
    return redirect_send(socket, &message, flags, result);
}

bool redirect_send(
    int socket, const void* bytes, std::size_t size, int flags, ssize_t& result
) noexcept {
    return redirect_sendto(socket, bytes, size, flags, nullptr, 0, result);
}

bool redirect_writev(int socket, const iovec* parts, int count, ssize_t& result) noexcept {
    if (parts == nullptr || count <= 0 || count > IOV_MAX) return false;
    msghdr message = {};
    message.msg_iov = const_cast<iovec*>(parts);
    message.msg_iovlen = static_cast<std::size_t>(count);
    return redirect_send(socket, &message, 0, result);
}

bool redirect_sendmmsg(
    int socket, mmsghdr* messages, unsigned count, int flags, int& result
) noexcept {
    bool ours = false;
    for (unsigned i = 0; i < count && !ours; ++i) {
        const msghdr& message = messages[i].msg_hdr;
        ours = !names_other_family(message) && message.msg_iovlen <= IOV_MAX &&
               concerns_daemon(ScatteredBytes(message.msg_iov, message.msg_iovlen));
    }
    if (!ours) return false;
    for (unsigned i = 0; i < count; ++i) {
        ssize_t sent = 0;
        if (!redirect_send(socket, &messages[i].msg_hdr, flags, sent))
            sent = send_on(socket, messages[i].msg_hdr, flags);
        if (sent < 0) {
            result = i > 0 ? static_cast<int>(i) : -1;
            return true;
        }
        messages[i].msg_len = static_cast<unsigned>(sent);
    }
    result = static_cast<int>(count);
    return true;
}

bool has_more_after_failure(int socket) noexcept {
    if (errno != EAGAIN || !has_asked()) return false;
    const KeepErrno keep;
    if (!is_generic_netlink(socket)) return false;
    Registration daemon;
    return find_daemon(network_namespace_of(socket), daemon) == Lookup::found &&
           flush_answers(daemon.port, port_of(socket));
}

std::size_t name_capacity(const msghdr* message) noexcept {
    return may_hold_generic_netlink() && message != nullptr ? message->msg_namelen : 0;
}

std::size_t name_capacity(const sockaddr* name, const socklen_t* length) noexcept {
    return may_hold_generic_netlink() && name != nullptr && length != nullptr ? *length : 0;
}

void restore_sender(int socket, void* name, std::size_t capacity) noexcept {
    const KeepErrno keep;
    rewrite_sender(socket, name, capacity);
}

void received(int socket, msghdr& message, std::size_t capacity) noexcept {
    const KeepErrno keep;
    const bool from_daemon =
        may_hold_generic_netlink() && rewrite_sender(socket, message.msg_name, capacity);
    if (message.msg_controllen == 0) return;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
        if (c->cmsg_level != SOL_SOCKET) continue;
        if (c->cmsg_type == SCM_RIGHTS) netlink_seen.fetch_or(generic_netlink, std::memory_order_relaxed);
        // Linux: af_netlink.c netlink_recvmsg — what the kernel sends has no credentials.
        if (from_daemon && c->cmsg_type == SCM_CREDENTIALS &&
            c->cmsg_len >= CMSG_LEN(sizeof(ucred)))
            memset(CMSG_DATA(c), 0, sizeof(ucred));
    }
}

}  // namespace nlvs::shim
