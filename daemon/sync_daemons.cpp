#include "daemon/sync_daemons.hpp"

#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace nlvs::daemon {
namespace {

using ipvs::Error;
using ipvs::Result;

constexpr std::uint32_t state_master = 1;
constexpr std::uint32_t state_backup = 2;

constexpr net::Ipv4Address default_group{std::uint32_t{0xE0000051}};  // 224.0.0.81
constexpr std::uint16_t default_port = 8848;
constexpr std::uint8_t default_ttl = 1;
constexpr std::uint32_t ethernet_mtu = 1500;
constexpr std::uint32_t maximum_mtu = 65535;

std::uint16_t effective_length(const ipvs::SyncDaemonConfig& config, std::uint32_t mtu) {
    const std::uint32_t headers = config.group.is_v6() ? 48 : 28;
    const bool backup = config.state == state_backup;
    if (config.max_length == 0) {
        const std::uint32_t base = backup ? std::clamp(mtu, ethernet_mtu, maximum_mtu) : ethernet_mtu;
        return static_cast<std::uint16_t>(base - headers);
    }
    const std::uint32_t least = backup ? 1024 : 1;
    return static_cast<std::uint16_t>(
        std::clamp<std::uint32_t>(config.max_length, least, maximum_mtu - headers)
    );
}

}  // namespace

bool SyncDaemons::is_group(const net::IpAddress& address) noexcept {
    return address.is_v4() ? (address.bytes()[0] & 0xF0) == 0xE0 : address.bytes()[0] == 0xFF;
}

SyncDaemons::SyncDaemons(InterfaceMtu interface_mtu) : interface_mtu_{std::move(interface_mtu)} {}

Result<void> SyncDaemons::start(const ipvs::SyncDaemonConfig& config, Route route) {
    // Linux: ip_vs_sync.c start_sync_thread — the device is looked up before the role is.
    const auto mtu = interface_mtu_(config.interface);
    if (!mtu) return std::unexpected{Error::no_such_device};
    const bool known = config.state == state_master || config.state == state_backup;
    if (!known) return std::unexpected{Error::invalid_argument};
    auto& role = config.state == state_master ? master_ : backup_;
    if (role) return std::unexpected{Error::daemon_exists};
    ipvs::SyncDaemonConfig effective = config;
    if (effective.group.is_any()) effective.group = default_group;
    if (effective.port == 0) effective.port = default_port;
    if (effective.ttl == 0) effective.ttl = default_ttl;
    effective.max_length = effective_length(effective, *mtu);
    // Linux: ip_vs_sync.c make_send_sock connects the master's socket.
    const bool connects = effective.state == state_master && route == Route::asked;
    if (connects && !kernel_reaches_group(effective)) {
        return std::unexpected{Error::network_unreachable};
    }
    role = std::move(effective);
    return {};
}

Result<void> SyncDaemons::stop(std::uint32_t state) {
    if (state != state_master && state != state_backup) {
        return std::unexpected{Error::invalid_argument};
    }
    auto& role = state == state_master ? master_ : backup_;
    if (!role) return std::unexpected{Error::no_such_daemon};
    role.reset();
    return {};
}

std::vector<ipvs::SyncDaemonConfig> SyncDaemons::list() const {
    std::vector<ipvs::SyncDaemonConfig> result;
    if (master_) result.push_back(*master_);
    if (backup_) result.push_back(*backup_);
    return result;
}

bool kernel_reaches_group(const ipvs::SyncDaemonConfig& config) {
    const bool v6 = config.group.is_v6();
    const int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return true;
    const std::string& name = config.interface;
    const auto length = static_cast<socklen_t>(name.size());
    const bool bound = setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name.data(), length) == 0;
    sockaddr_storage group{};
    if (v6) {
        sockaddr_in6 to{};
        to.sin6_family = AF_INET6;
        to.sin6_port = htons(config.port);
        to.sin6_scope_id = if_nametoindex(name.c_str());
        std::memcpy(&to.sin6_addr, config.group.bytes().data(), sizeof(to.sin6_addr));
        std::memcpy(&group, &to, sizeof(to));
    } else {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(config.port);
        std::memcpy(&to.sin_addr, config.group.bytes().data(), sizeof(to.sin_addr));
        std::memcpy(&group, &to, sizeof(to));
    }
    const int result = connect(fd, reinterpret_cast<const sockaddr*>(&group), sizeof(group));
    const bool unreachable = bound && result != 0 && errno == ENETUNREACH;
    close(fd);
    return !unreachable;
}

std::optional<std::uint32_t> kernel_interface_mtu(const std::string& name) {
    if (name.empty() || name.size() >= IFNAMSIZ || if_nametoindex(name.c_str()) == 0) {
        return std::nullopt;
    }
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return std::nullopt;
    ifreq request{};
    std::memcpy(request.ifr_name, name.data(), name.size());
    const int result = ioctl(fd, SIOCGIFMTU, &request);
    close(fd);
    if (result != 0) return std::nullopt;
    return static_cast<std::uint32_t>(request.ifr_mtu);
}

}  // namespace nlvs::daemon
