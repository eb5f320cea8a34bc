#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <sys/socket.h>

namespace nlvs::shim {

/// Hints, whose bits are only ever set: the process may hold a generic netlink socket, and one that is
/// told about links.
inline constexpr unsigned char generic_netlink = 1;
inline constexpr unsigned char route_netlink = 2;
extern constinit std::atomic<unsigned char> netlink_seen;

/// Until a process holds such a socket, send and receive calls pass on unread: such a program runs as
/// if the library were absent, bad pointers included.
inline bool may_hold_netlink() noexcept {
    return netlink_seen.load(std::memory_order_relaxed) != 0;
}

inline bool may_hold_generic_netlink() noexcept {
    return (netlink_seen.load(std::memory_order_relaxed) & generic_netlink) != 0;
}

inline bool may_hold_route_netlink() noexcept {
    return (netlink_seen.load(std::memory_order_relaxed) & route_netlink) != 0;
}

/// Ways to come by a generic one: socket(), inheritance over exec; received() sees SCM_RIGHTS. Of the
/// other kind only socket() is considered: tools that show interfaces make theirs themselves.
void notice_socket(int domain, int protocol) noexcept;
void notice_inherited_sockets() noexcept;

/// True if the message was ours and has been dealt with: `result` (and errno) is what the caller
/// gets. False: nothing happened, errno is untouched, the call is to be passed on.
bool redirect_send(int socket, const msghdr* message, int flags, ssize_t& result) noexcept;
bool redirect_send(
    int socket, const void* bytes, std::size_t size, int flags, ssize_t& result
) noexcept;
bool redirect_sendto(
    int socket,
    const void* bytes,
    std::size_t size,
    int flags,
    const sockaddr* name,
    socklen_t length,
    ssize_t& result
) noexcept;
bool redirect_writev(int socket, const iovec* parts, int count, ssize_t& result) noexcept;
bool redirect_sendmmsg(
    int socket, mmsghdr* messages, unsigned count, int flags, int& result
) noexcept;

/// What a receive call has room for in the sender's name: 0 if nobody asks or cares.
std::size_t name_capacity(const msghdr* message) noexcept;
std::size_t name_capacity(const sockaddr* name, const socklen_t* length) noexcept;

/// Whether a receive call that failed shall be tried again: it did not want to wait (EAGAIN),
/// and the daemon had something for this socket on the way. Otherwise errno is kept.
bool has_more_after_failure(int socket) noexcept;

/// Makes the daemon's answers come from the kernel. Keeps errno.
void restore_sender(int socket, void* name, std::size_t capacity) noexcept;

/// After a successful recvmsg: sender, credentials, descriptors that came along. Keeps errno.
void received(int socket, msghdr& message, std::size_t capacity) noexcept;

}  // namespace nlvs::shim
