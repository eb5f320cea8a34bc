#pragma once

#include <atomic>
#include <cstddef>

#include <sys/uio.h>

namespace nlvs::shim {

/// A hint: only ever goes from false to true.
extern constinit std::atomic<bool> route_netlink_seen;

/// Whether this process may ask the kernel about links.
inline bool may_hold_route_netlink() noexcept {
    return route_netlink_seen.load(std::memory_order_relaxed);
}

/// socket() is the only way considered: tools that show interfaces make their socket themselves.
void notice_link_socket(int domain, int protocol) noexcept;

/// After a successful receive call of `size` bytes: what the kernel said about shadow interfaces
/// gets the figures of their NICs. Only what is in the first part. Keeps errno.
void links_received(int socket, const iovec* parts, std::size_t count, std::size_t size) noexcept;

}  // namespace nlvs::shim
