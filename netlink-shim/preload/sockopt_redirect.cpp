#include "netlink-shim/preload/sockopt_redirect.hpp"

#include "netlink-shim/core/registration.hpp"
#include "netlink-shim/core/rules.hpp"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

namespace nlvs::shim {

namespace {

struct Request {
    nlmsghdr header;
    SockoptRequestHeader call;
};

struct Reply {
    nlmsghdr header;
    SockoptReplyHeader result;
};

static_assert(sizeof(Request) == NLMSG_HDRLEN + sizeof(SockoptRequestHeader));
static_assert(sizeof(Reply) == NLMSG_HDRLEN + sizeof(SockoptReplyHeader));

struct Exchange {
    int socket;
    std::uint64_t network_namespace;
    Registration daemon;
};

/// Linux: af_inet.c, raw.c — the options belong to IPv4, which IPv6 sockets pass on to.
bool is_internet_socket(int socket) noexcept {
    int domain = 0;
    socklen_t size = sizeof(domain);
    return syscall(SYS_getsockopt, socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
           (domain == AF_INET || domain == AF_INET6);
}

int open_socket() noexcept {
    const auto opened =
        static_cast<int>(syscall(SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC));
    // Wakes up the wait for an answer to look whether the daemon still lives.
    const timeval second = {1, 0};
    if (opened >= 0)
        syscall(SYS_setsockopt, opened, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
    return opened;
}

bool send_request(const Exchange& exchange, Request& request, const void* value) noexcept {
    std::size_t length = request.call.length;
    if (length > max_sockopt_argument) length = max_sockopt_argument;
    request.header.nlmsg_len = static_cast<std::uint32_t>(sizeof(request) + length);
    request.header.nlmsg_type = sockopt_message_type;
    request.header.nlmsg_flags = NLM_F_REQUEST;
    // The kernel reads the caller's memory, so a bad pointer is EFAULT here as there.
    iovec parts[] = {{&request, sizeof(request)}, {const_cast<void*>(value), length}};
    sockaddr_nl name = {};
    name.nl_family = AF_NETLINK;
    name.nl_pid = exchange.daemon.port;
    msghdr message = {};
    message.msg_name = &name;
    message.msg_namelen = sizeof(name);
    message.msg_iov = parts;
    message.msg_iovlen = 2;
    return syscall(SYS_sendmsg, exchange.socket, &message, 0) >= 0;
}

bool daemon_lives(const Exchange& exchange) noexcept {
    Registration now;
    return find_daemon(exchange.network_namespace, now) != Lookup::absent &&
           now.port == exchange.daemon.port;
}

/// Size of one datagram from the daemon, -1 with errno. Interrupted waits go on: the kernel's
/// own get- and setsockopt do not return EINTR.
long receive(const Exchange& exchange, msghdr& message, sockaddr_nl& sender) noexcept {
    for (;;) {
        message.msg_namelen = sizeof(sender);
        const long size = syscall(SYS_recvmsg, exchange.socket, &message, 0);
        if (size >= 0 && sender.nl_pid == exchange.daemon.port) return size;
        if (size >= 0 || errno == EINTR) continue;
        if (errno != EAGAIN) return -1;
        if (daemon_lives(exchange)) continue;
        // Linux: nf_sockopt.c nf_sockopt_find — what the call returns without ip_vs.
        errno = ENOPROTOOPT;
        return -1;
    }
}

/// Collects the answer in `value`; its length, or -1 with errno.
long receive_result(const Exchange& exchange, void* value, std::size_t capacity) noexcept {
    std::size_t received = 0;
    for (;;) {
        Reply reply = {};
        sockaddr_nl sender = {};
        iovec parts[] = {
            {&reply, sizeof(reply)}, {static_cast<char*>(value) + received, capacity - received}};
        msghdr message = {};
        message.msg_name = &sender;
        message.msg_iov = parts;
        message.msg_iovlen = 2;
        const long size = receive(exchange, message, sender);
        if (size < 0) return -1;
        const auto bytes = static_cast<std::size_t>(size) - sizeof(reply);
        if (static_cast<std::size_t>(size) < sizeof(reply) || reply.result.offset != received ||
            (message.msg_flags & MSG_TRUNC) != 0) {
            errno = EPROTO;
            return -1;
        }
        if (reply.result.error != 0) {
            errno = reply.result.error;
            return -1;
        }
        received += bytes;
        if (received >= reply.result.total) return static_cast<long>(received);
    }
}

/// The daemon of the socket's namespace, and a netlink socket to it. False: not ours; with
/// `failed` set, ours but impossible (errno).
bool begin(int socket, Exchange& exchange, bool& failed) noexcept {
    const int saved = errno;
    failed = false;
    if (!is_internet_socket(socket)) {
        errno = saved;
        return false;
    }
    exchange.network_namespace = network_namespace_of(socket);
    const Lookup lookup = exchange.network_namespace != 0
                              ? find_daemon(exchange.network_namespace, exchange.daemon)
                              : Lookup::failed;
    if (lookup == Lookup::absent) {
        errno = saved;
        return false;
    }
    if (lookup == Lookup::found) {
        exchange.socket = open_socket();
        if (exchange.socket >= 0) {
            errno = saved;
            return true;
        }
    }
    failed = true;
    return false;
}

long call(const Exchange& exchange, Request& request, const void* in, void* out) noexcept {
    const std::size_t capacity = out != nullptr ? request.call.length : 0;
    const int saved = errno;
    const long result =
        send_request(exchange, request, in) ? receive_result(exchange, out, capacity) : -1;
    const int outcome = result < 0 ? errno : saved;
    syscall(SYS_close, exchange.socket);
    errno = outcome;
    return result;
}

}  // namespace

bool redirect_setsockopt(
    int socket, int level, int option, const void* value, socklen_t length, int& result
) noexcept {
    if (!is_ipvs_socket_option(level, option)) return false;
    Exchange exchange;
    bool failed;
    result = -1;
    if (!begin(socket, exchange, failed)) return failed;
    Request request = {{}, {0, static_cast<std::uint32_t>(option), length}};
    result = call(exchange, request, value, nullptr) < 0 ? -1 : 0;
    return true;
}

bool redirect_getsockopt(
    int socket,
    int level,
    int option,
    void* value,
    socklen_t* length,
    socklen_t& written,
    int& result
) noexcept {
    if (!is_ipvs_socket_option(level, option)) return false;
    Exchange exchange;
    bool failed;
    result = -1;
    if (!begin(socket, exchange, failed)) return failed;
    Request request = {{}, {1, static_cast<std::uint32_t>(option), *length}};
    const long size = call(exchange, request, value, value);
    if (size < 0) return true;
    written = static_cast<socklen_t>(size);
    if (reports_length(option)) *length = written;
    result = 0;
    return true;
}

}  // namespace nlvs::shim
