#include "netlink-shim/preload/link_redirect.hpp"

#include "netlink-shim/core/link_counters.hpp"
#include "netlink-shim/core/registration.hpp"
#include "netlink-shim/preload/socket_kind.hpp"

#include <atomic>

#include <linux/netlink.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace nlvs::shim {

namespace {

// A hint: until then, in seconds of a clock that costs no system call, there is no daemon to look for.
constinit std::atomic<long> nobody_until = 0;

long seconds() noexcept {
    timespec now = {};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec;
}

/// The records of the daemon of the socket's namespace; how many.
std::size_t read_counters(int socket, LinkCounters (&links)[max_links]) noexcept {
    Registration daemon;
    const std::uint64_t network_namespace = network_namespace_of(socket);
    if (network_namespace == 0 || find_daemon(network_namespace, daemon) != Lookup::found) {
        nobody_until.store(seconds() + 2, std::memory_order_relaxed);
        return 0;
    }
    const int file = open_beside_registration(network_namespace, link_counters_file);
    if (file < 0) return 0;
    const long size = syscall(SYS_read, file, links, sizeof(links));
    syscall(SYS_close, file);
    return size > 0 ? static_cast<std::size_t>(size) / sizeof(LinkCounters) : 0;
}

}  // namespace

void links_received(int socket, const iovec* parts, std::size_t count, std::size_t size) noexcept {
    if (parts == nullptr || count == 0 || parts[0].iov_base == nullptr) return;
    if (size > parts[0].iov_len) size = parts[0].iov_len;  // MSG_TRUNC
    if (!begins_with_link(parts[0].iov_base, size)) return;
    if (seconds() < nobody_until.load(std::memory_order_relaxed)) return;
    const KeepErrno keep;
    if (!is_netlink(socket, NETLINK_ROUTE)) return;
    LinkCounters links[max_links];
    amend_links(parts[0].iov_base, size, links, read_counters(socket, links));
}

}  // namespace nlvs::shim
