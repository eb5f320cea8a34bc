#include "daemon/sync_daemons.hpp"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace nlvs::daemon {
namespace {

using ipvs::Error;
using ipvs::Result;

constexpr auto state_master = static_cast<std::uint32_t>(SyncRole::master);
constexpr auto state_backup = static_cast<std::uint32_t>(SyncRole::backup);

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

Result<void> SyncDaemons::start(const ipvs::SyncDaemonConfig& config, SyncRoute route) {
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
    if (runner_ != nullptr) {
        const auto started = runner_->start(effective, route);
        if (!started) return started;
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
    if (runner_ != nullptr) runner_->stop(static_cast<SyncRole>(state));
    return {};
}

std::vector<ipvs::SyncDaemonConfig> SyncDaemons::list() const {
    std::vector<ipvs::SyncDaemonConfig> result;
    if (master_) result.push_back(*master_);
    if (backup_) result.push_back(*backup_);
    return result;
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
