// The interposed socket calls. No decision lives here: rules in core/, actions in *_redirect.

#include "netlink-shim/preload/answer_wait.hpp"
#include "netlink-shim/preload/libc.hpp"
#include "netlink-shim/preload/link_redirect.hpp"
#include "netlink-shim/preload/netlink_redirect.hpp"
#include "netlink-shim/preload/sockopt_redirect.hpp"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

using namespace nlvs::shim;

namespace {

template <class Call>
auto receive(int fd, int flags, Call call) {
    if (!may_hold_generic_netlink()) [[likely]]
        return call();
    if ((flags & MSG_DONTWAIT) == 0 && !await_answer(fd)) return decltype(call()){-1};
    const auto result = call();
    if (result < 0 && has_more_after_failure(fd)) return call();
    return result;
}

void look_for_links(int fd, const iovec* parts, size_t count, ssize_t size) noexcept {
    if (!may_hold_route_netlink() || size <= 0) [[likely]]
        return;
    links_received(fd, parts, count, static_cast<size_t>(size));
}

/// The same receive call, from a program that takes everything into one buffer. Out of line, so that
/// programs without netlink sockets do not pay for its registers.
template <class Call>
[[gnu::noinline]] ssize_t receive_into(int fd, void* bytes, size_t room, int flags, Call call) {
    const ssize_t result = receive(fd, flags, call);
    const iovec only = {bytes, room};
    look_for_links(fd, &only, 1, result);
    return result;
}

}  // namespace

#pragma GCC visibility push(default)

extern "C" {

int socket(int domain, int type, int protocol) noexcept {
    notice_socket(domain, protocol);
    return next<"socket", int(int, int, int)>()(domain, type, protocol);
}

ssize_t sendmsg(int fd, const msghdr* message, int flags) {
    const auto call = next<"sendmsg", ssize_t(int, const msghdr*, int)>();
    ssize_t result;
    if (!may_hold_generic_netlink()) [[likely]]
        return call(fd, message, flags);
    return redirect_send(fd, message, flags, result) ? result : call(fd, message, flags);
}

ssize_t sendto(
    int fd, const void* bytes, size_t size, int flags, const sockaddr* name, socklen_t length
) {
    using Function = ssize_t(int, const void*, size_t, int, const sockaddr*, socklen_t);
    const auto call = next<"sendto", Function>();
    ssize_t result;
    if (!may_hold_generic_netlink()) [[likely]]
        return call(fd, bytes, size, flags, name, length);
    const bool ours = redirect_sendto(fd, bytes, size, flags, name, length, result);
    return ours ? result : call(fd, bytes, size, flags, name, length);
}

ssize_t send(int fd, const void* bytes, size_t size, int flags) {
    const auto call = next<"send", ssize_t(int, const void*, size_t, int)>();
    ssize_t result;
    if (!may_hold_generic_netlink()) [[likely]]
        return call(fd, bytes, size, flags);
    return redirect_send(fd, bytes, size, flags, result) ? result : call(fd, bytes, size, flags);
}

int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
    const auto call = next<"sendmmsg", int(int, mmsghdr*, unsigned, int)>();
    int result;
    if (!may_hold_generic_netlink()) [[likely]]
        return call(fd, messages, count, flags);
    const bool ours = redirect_sendmmsg(fd, messages, count, flags, result);
    return ours ? result : call(fd, messages, count, flags);
}

ssize_t write(int fd, const void* bytes, size_t size) {
    const auto call = next<"write", ssize_t(int, const void*, size_t)>();
    ssize_t result;
    if (!may_hold_generic_netlink()) [[likely]]
        return call(fd, bytes, size);
    return redirect_send(fd, bytes, size, 0, result) ? result : call(fd, bytes, size);
}

ssize_t writev(int fd, const iovec* parts, int count) {
    const auto call = next<"writev", ssize_t(int, const iovec*, int)>();
    ssize_t result;
    if (!may_hold_generic_netlink()) [[likely]]
        return call(fd, parts, count);
    return redirect_writev(fd, parts, count, result) ? result : call(fd, parts, count);
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
    const size_t capacity = name_capacity(message);
    const auto call = next<"recvmsg", ssize_t(int, msghdr*, int)>();
    const ssize_t result = receive(fd, flags, [=] { return call(fd, message, flags); });
    if (result >= 0) received(fd, *message, capacity);
    if (result >= 0) look_for_links(fd, message->msg_iov, message->msg_iovlen, result);
    return result;
}

ssize_t recvfrom(int fd, void* bytes, size_t size, int flags, sockaddr* name, socklen_t* length) {
    const size_t capacity = name_capacity(name, length);
    const auto call = next<"recvfrom", ssize_t(int, void*, size_t, int, sockaddr*, socklen_t*)>();
    if (!may_hold_netlink()) [[likely]]
        return call(fd, bytes, size, flags, name, length);
    const ssize_t result = receive_into(fd, bytes, size, flags, [=] {
        return call(fd, bytes, size, flags, name, length);
    });
    if (result >= 0 && capacity > 0) restore_sender(fd, name, capacity);
    return result;
}

ssize_t __recvfrom_chk(
    int fd, void* bytes, size_t size, size_t room, int flags, sockaddr* name, socklen_t* length
) {
    if (size <= room) return recvfrom(fd, bytes, size, flags, name, length);
    using Function = ssize_t(int, void*, size_t, size_t, int, sockaddr*, socklen_t*);
    return next<"__recvfrom_chk", Function>()(fd, bytes, size, room, flags, name, length);
}

int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags, timespec* timeout) {
    const auto call = next<"recvmmsg", int(int, mmsghdr*, unsigned, int, timespec*)>();
    const int result = receive(fd, flags, [=] { return call(fd, messages, count, flags, timeout); });
    for (int i = 0; i < result; ++i) {
        msghdr& message = messages[i].msg_hdr;
        received(fd, message, message.msg_namelen);
        look_for_links(fd, message.msg_iov, message.msg_iovlen, messages[i].msg_len);
    }
    return result;
}

ssize_t recv(int fd, void* bytes, size_t size, int flags) {
    const auto call = next<"recv", ssize_t(int, void*, size_t, int)>();
    if (!may_hold_netlink()) [[likely]]
        return call(fd, bytes, size, flags);
    return receive_into(fd, bytes, size, flags, [=] { return call(fd, bytes, size, flags); });
}

ssize_t __recv_chk(int fd, void* bytes, size_t size, size_t room, int flags) {
    const auto call = next<"__recv_chk", ssize_t(int, void*, size_t, size_t, int)>();
    if (!may_hold_netlink()) [[likely]]
        return call(fd, bytes, size, room, flags);
    return receive_into(fd, bytes, size, flags, [=] { return call(fd, bytes, size, room, flags); });
}

ssize_t read(int fd, void* bytes, size_t size) {
    const auto call = next<"read", ssize_t(int, void*, size_t)>();
    if (!may_hold_netlink()) [[likely]]
        return call(fd, bytes, size);
    return receive_into(fd, bytes, size, 0, [=] { return call(fd, bytes, size); });
}

ssize_t __read_chk(int fd, void* bytes, size_t size, size_t room) {
    const auto call = next<"__read_chk", ssize_t(int, void*, size_t, size_t)>();
    if (!may_hold_netlink()) [[likely]]
        return call(fd, bytes, size, room);
    return receive_into(fd, bytes, size, 0, [=] { return call(fd, bytes, size, room); });
}

ssize_t readv(int fd, const iovec* parts, int count) {
    const auto call = next<"readv", ssize_t(int, const iovec*, int)>();
    if (!may_hold_netlink()) [[likely]]
        return call(fd, parts, count);
    const ssize_t result = receive(fd, 0, [=] { return call(fd, parts, count); });
    look_for_links(fd, parts, static_cast<size_t>(count), result);
    return result;
}

int getsockopt(int fd, int level, int option, void* value, socklen_t* length) noexcept {
    int result;
    socklen_t written;
    if (redirect_getsockopt(fd, level, option, value, length, written, result)) return result;
    using Function = int(int, int, int, void*, socklen_t*);
    return next<"getsockopt", Function>()(fd, level, option, value, length);
}

int setsockopt(int fd, int level, int option, const void* value, socklen_t length) noexcept {
    int result;
    if (redirect_setsockopt(fd, level, option, value, length, result)) return result;
    using Function = int(int, int, int, const void*, socklen_t);
    return next<"setsockopt", Function>()(fd, level, option, value, length);
}

}  // extern "C"

#pragma GCC visibility pop
