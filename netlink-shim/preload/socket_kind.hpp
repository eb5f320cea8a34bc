#pragma once

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nlvs::shim {

/// A pass-through or an undecided call leaves errno as it was.
class KeepErrno {
public:
    KeepErrno() noexcept : saved_(errno) {}

    ~KeepErrno() noexcept { errno = saved_; }

    KeepErrno(const KeepErrno&) = delete;
    KeepErrno& operator=(const KeepErrno&) = delete;

private:
    int saved_;
};

/// For SOL_SOCKET options that are a number. Changes errno.
inline bool socket_option_is(int socket, int option, int wanted) noexcept {
    int value = 0;
    socklen_t size = sizeof(value);
    return syscall(SYS_getsockopt, socket, SOL_SOCKET, option, &value, &size) == 0 &&
           value == wanted;
}

/// `protocol`: NETLINK_ROUTE, NETLINK_GENERIC, …
inline bool is_netlink(int socket, int protocol) noexcept {
    return socket_option_is(socket, SO_DOMAIN, AF_NETLINK) &&
           socket_option_is(socket, SO_PROTOCOL, protocol);
}

}  // namespace nlvs::shim
