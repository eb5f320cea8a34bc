#include "netlink-shim/preload/link_redirect.hpp"

#include "netlink-shim/core/link_counters.hpp"
#include "netlink-shim/core/registration.hpp"
#include "netlink-shim/preload/socket_kind.hpp"

#include <fcntl.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nlvs::shim {

constinit std::atomic<bool> route_netlink_seen = false;

namespace {

/// The records of the daemon of the socket's namespace; how many.
std::size_t read_counters(int socket, LinkCounters (&links)[max_links]) noexcept {
    Registration daemon;
    const std::uint64_t network_namespace = network_namespace_of(socket);
    if (network_namespace == 0 || find_daemon(network_namespace, daemon) != Lookup::found) return 0;
    // The daemon itself would wait for its own answer.
    if (daemon.files[0] == 0 || daemon.pid == static_cast<std::uint32_t>(getpid())) return 0;
    char path[sizeof(daemon.files) + sizeof(link_counters_file)];
    strcpy(path, daemon.files);
    strcat(path, link_counters_file);
    const long file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    const long size = syscall(SYS_read, file, links, sizeof(links));
    syscall(SYS_close, file);
    return size > 0 ? static_cast<std::size_t>(size) / sizeof(LinkCounters) : 0;
}

}  // namespace

void notice_link_socket(int domain, int protocol) noexcept {
    if (domain == AF_NETLINK && protocol == NETLINK_ROUTE)
        route_netlink_seen.store(true, std::memory_order_relaxed);
}

void links_received(int socket, const iovec* parts, std::size_t count, std::size_t size) noexcept {
    if (parts == nullptr || count == 0 || parts[0].iov_base == nullptr) return;
    if (size > parts[0].iov_len) size = parts[0].iov_len;  // MSG_TRUNC
    if (!begins_with_link(parts[0].iov_base, size)) return;
    const KeepErrno keep;
    if (!is_netlink(socket, NETLINK_ROUTE)) return;
    LinkCounters links[max_links];
    amend_links(parts[0].iov_base, size, links, read_counters(socket, links));
}

}  // namespace nlvs::shim
