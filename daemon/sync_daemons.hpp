#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "compat/ipvs/error.hpp"
#include "compat/ipvs/settings.hpp"

namespace nlvs::daemon {

/// Linux: IP_VS_STATE_MASTER, IP_VS_STATE_BACKUP.
enum class SyncRole : std::uint32_t { master = 1, backup = 2 };

/// Whether the way to the group must exist. A restored daemon is older than the addresses and
/// routes of this start.
enum class SyncRoute : std::uint8_t { asked, assumed };

/// Does what a sync daemon is for.
/// Thread: control.
class SyncRunner {
public:
    SyncRunner() = default;
    SyncRunner(const SyncRunner&) = delete;
    SyncRunner& operator=(const SyncRunner&) = delete;
    virtual ~SyncRunner() = default;

    /// `config` has effective values; the role does not run yet.
    virtual ipvs::Result<void> start(const ipvs::SyncDaemonConfig& config, SyncRoute route) = 0;
    /// The role runs.
    virtual void stop(SyncRole role) = 0;
};

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

    /// From now on the daemons do their work; null for nobody. It outlives its last daemon.
    void set_runner(SyncRunner* runner) noexcept { runner_ = runner; }

    ipvs::Result<void> start(
        const ipvs::SyncDaemonConfig& config, SyncRoute route = SyncRoute::asked
    );
    ipvs::Result<void> stop(std::uint32_t state);

    bool running() const noexcept { return master_ || backup_; }

    bool runs(SyncRole role) const noexcept {
        return role == SyncRole::master ? master_.has_value() : backup_.has_value();
    }

    /// Master first.
    std::vector<ipvs::SyncDaemonConfig> list() const;

private:
    InterfaceMtu interface_mtu_;
    SyncRunner* runner_ = nullptr;
    std::optional<ipvs::SyncDaemonConfig> master_;
    std::optional<ipvs::SyncDaemonConfig> backup_;
};

/// Asks the kernel.
std::optional<std::uint32_t> kernel_interface_mtu(const std::string& name);

}  // namespace nlvs::daemon
