#pragma once

#include "compat/ipvs/destination.hpp"
#include "compat/ipvs/settings.hpp"
#include "daemon/registered.hpp"

#include <vector>

namespace nlvs::daemon {

/// Is told every change of the configuration right after it has been made, before its command is
/// acknowledged. Statistics and connections are no configuration.
/// Thread: control.
class ChangeObserver {
public:
    ChangeObserver() = default;
    ChangeObserver(const ChangeObserver&) = delete;
    ChangeObserver& operator=(const ChangeObserver&) = delete;
    virtual ~ChangeObserver() = default;

    /// Added or edited.
    virtual void service_stored(const RegisteredService& service) = 0;
    /// The service goes now, with its destinations.
    virtual void service_removed(const RegisteredService& service) = 0;
    /// Added or edited.
    virtual void destination_stored(
        const RegisteredService& service, const RegisteredDestination& destination
    ) = 0;
    virtual void destination_removed(
        const RegisteredService& service, const ipvs::DestinationKey& destination
    ) = 0;
    /// All services are gone.
    virtual void flushed() = 0;

    virtual void timeouts_stored(const ipvs::Timeouts& timeouts) = 0;
    /// Those that run now.
    virtual void sync_daemons_stored(const std::vector<ipvs::SyncDaemonConfig>& daemons) = 0;
    virtual void sysctls_stored(const ipvs::Sysctls& sysctls) = 0;
};

}  // namespace nlvs::daemon
