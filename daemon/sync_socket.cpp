#include "daemon/sync_socket.hpp"

#include <arpa/inet.h>
#include <linux/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace nlvs::daemon {
namespace {

using ipvs::Error;
using ipvs::Result;

std::unexpected<Error> last_error() {
    switch (errno) {
        case ENODEV: return std::unexpected{Error::no_such_device};
        case ENETUNREACH: return std::unexpected{Error::network_unreachable};
        case EADDRINUSE: return std::unexpected{Error::address_in_use};
        case EADDRNOTAVAIL: return std::unexpected{Error::address_not_available};
        case EAFNOSUPPORT: return std::unexpected{Error::address_family_not_supported};
        case EACCES:
        case EPERM: return std::unexpected{Error::permission_denied};
        case EINVAL: return std::unexpected{Error::invalid_argument};
        case ENOMEM:
        case ENOBUFS: return std::unexpected{Error::no_memory};
        default: return std::unexpected{Error::io_error};
    }
}

template <class T>
bool set(int socket, int level, int option, const T& value) noexcept {
    return setsockopt(socket, level, option, &value, sizeof(value)) == 0;
}

unsigned index_of(int socket, const std::string& interface) noexcept {
    ifreq request{};
    std::memcpy(request.ifr_name, interface.data(), interface.size());
    return ioctl(socket, SIOCGIFINDEX, &request) == 0 ? static_cast<unsigned>(request.ifr_ifindex)
                                                      : 0;
}

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t length = 0;

    const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
};

template <class Native>
SocketAddress wrap(const Native& native) noexcept {
    SocketAddress result;
    std::memcpy(&result.storage, &native, sizeof(native));
    result.length = sizeof(native);
    return result;
}

SocketAddress group_address(
    const ipvs::SyncDaemonConfig& config, std::uint16_t thread, unsigned interface
) noexcept {
    const auto port = static_cast<std::uint16_t>(config.port + thread);
    const auto& bytes = config.group.bytes();
    if (config.group.is_v6()) {
        sockaddr_in6 native{};
        native.sin6_family = AF_INET6;
        native.sin6_port = htons(port);
        native.sin6_scope_id = interface;
        std::memcpy(&native.sin6_addr, bytes.data(), sizeof(native.sin6_addr));
        return wrap(native);
    }
    sockaddr_in native{};
    native.sin_family = AF_INET;
    native.sin_port = htons(port);
    std::memcpy(&native.sin_addr, bytes.data(), sizeof(native.sin_addr));
    return wrap(native);
}

/// The interface's first address; any where it has none. Linux: bind_mcastif_addr.
SocketAddress interface_address(int socket, const std::string& interface) noexcept {
    ifreq request{};
    std::memcpy(request.ifr_name, interface.data(), interface.size());
    request.ifr_addr.sa_family = AF_INET;
    sockaddr_in native{};
    native.sin_family = AF_INET;
    if (ioctl(socket, SIOCGIFADDR, &request) == 0) {
        sockaddr_in own;
        std::memcpy(&own, &request.ifr_addr, sizeof(own));
        native.sin_addr = own.sin_addr;
    }
    return wrap(native);
}

bool set_sender_options(
    int socket, const ipvs::SyncDaemonConfig& config, unsigned interface
) noexcept {
    const auto index = static_cast<int>(interface);
    const int hops = config.ttl;
    if (config.group.is_v6()) {
        return set(socket, IPPROTO_IPV6, IPV6_MULTICAST_IF, index) &&
               set(socket, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0) &&
               set(socket, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hops) &&
               set(socket, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
    }
    const ip_mreqn by_index{{}, {}, index};
    return set(socket, IPPROTO_IP, IP_MULTICAST_IF, by_index) &&
           set(socket, IPPROTO_IP, IP_MULTICAST_LOOP, 0) &&
           set(socket, IPPROTO_IP, IP_MULTICAST_TTL, hops) &&
           set(socket, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
}

bool join(int socket, const ipvs::SyncDaemonConfig& config, unsigned interface) noexcept {
    const auto& bytes = config.group.bytes();
    if (config.group.is_v6()) {
        ipv6_mreq membership{};
        std::memcpy(&membership.ipv6mr_multiaddr, bytes.data(), sizeof(in6_addr));
        membership.ipv6mr_interface = interface;
        return set(socket, IPPROTO_IPV6, IPV6_JOIN_GROUP, membership);
    }
    ip_mreqn membership{{}, {}, static_cast<int>(interface)};
    std::memcpy(&membership.imr_multiaddr, bytes.data(), sizeof(in_addr));
    return set(socket, IPPROTO_IP, IP_ADD_MEMBERSHIP, membership);
}

/// wmem_max and rmem_max limit it. Linux: set_sock_size.
void set_buffer(int socket, int option, std::int32_t bytes) noexcept {
    if (bytes > 0) set(socket, SOL_SOCKET, option, bytes);
}

int open_socket(const ipvs::SyncDaemonConfig& config) noexcept {
    const int family = config.group.is_v6() ? AF_INET6 : AF_INET;
    return socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

}  // namespace

SyncSocket::~SyncSocket() {
    if (number_ >= 0) close(number_);
}

Result<SyncSocket> SyncSocket::sender(
    const ipvs::SyncDaemonConfig& config, std::uint16_t thread, std::int32_t buffer
) {
    SyncSocket result{open_socket(config)};
    const int number = result.number_;
    if (number < 0) return last_error();
    const unsigned interface = index_of(number, config.interface);
    if (interface == 0) return std::unexpected{Error::no_such_device};
    if (!set_sender_options(number, config, interface)) return last_error();
    set_buffer(number, SO_SNDBUF, buffer);
    if (config.group.is_v4()) {
        const SocketAddress own = interface_address(number, config.interface);
        if (bind(number, own.get(), own.length) != 0) return last_error();
    }
    const SocketAddress group = group_address(config, thread, interface);
    if (connect(number, group.get(), group.length) != 0) return last_error();
    return result;
}

Result<SyncSocket> SyncSocket::receiver(
    const ipvs::SyncDaemonConfig& config, std::uint16_t thread, std::int32_t buffer
) {
    SyncSocket result{open_socket(config)};
    const int number = result.number_;
    if (number < 0) return last_error();
    const unsigned interface = index_of(number, config.interface);
    if (interface == 0) return std::unexpected{Error::no_such_device};
    if (!set(number, SOL_SOCKET, SO_REUSEADDR, 1)) return last_error();
    set_buffer(number, SO_RCVBUF, buffer);
    const std::string& name = config.interface;
    if (setsockopt(
            number, SOL_SOCKET, SO_BINDTODEVICE, name.data(), static_cast<socklen_t>(name.size())
        ) != 0) {
        return last_error();
    }
    const SocketAddress group = group_address(config, thread, interface);
    if (bind(number, group.get(), group.length) != 0) return last_error();
    if (!join(number, config, interface)) return last_error();
    return result;
}

auto SyncSocket::send(std::span<const std::byte> datagram) const noexcept -> Sent {
    if (::send(number_, datagram.data(), datagram.size(), 0) >= 0) return Sent::done;
    return errno == EAGAIN || errno == EWOULDBLOCK ? Sent::later : Sent::never;
}

}  // namespace nlvs::daemon
