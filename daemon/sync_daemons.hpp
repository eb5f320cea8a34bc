#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "compat/ipvs/error.hpp"
#include "compat/ipvs/settings.hpp"

namespace nlvs::daemon {

/// The connection-sync daemons as IPVS commands see them: which role runs with which effective
/// values. Linux: ip_vs_sync.c start_sync_thread, stop_sync_thread.
/// Thread: control.
class SyncDaemons {
public:
    /// MTU of the named interface of this network namespace; empty if there is none.
    using InterfaceMtu = std::function<std::optional<std::uint32_t>(const std::string&)>;

    /// A multicast address, which a configured group must be.
    static bool is_group(const net::IpAddress& address) noexcept;

    explicit SyncDaemons(InterfaceMtu interface_mtu);

    /// Whether to ask the kernel for a route to the group. A restored daemon is older than the
    /// addresses and routes of this start.
    enum class Route : std::uint8_t { asked, assumed };

    ipvs::Result<void> start(const ipvs::SyncDaemonConfig& config, Route route = Route::asked);
    ipvs::Result<void> stop(std::uint32_t state);

    bool running() const noexcept { return master_ || backup_; }

    /// Master first.
    std::vector<ipvs::SyncDaemonConfig> list() const;

private:
    InterfaceMtu interface_mtu_;
    std::optional<ipvs::SyncDaemonConfig> master_;
    std::optional<ipvs::SyncDaemonConfig> backup_;
};

/// Asks the kernel.
std::optional<std::uint32_t> kernel_interface_mtu(const std::string& name);

/// Whether the kernel has a route to the group from that interface. Loopback has none for IPv6.
bool kernel_reaches_group(const ipvs::SyncDaemonConfig& config);

}  // namespace nlvs::daemon
