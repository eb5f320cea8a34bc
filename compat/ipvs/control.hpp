#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "compat/ipvs/destination.hpp"
#include "compat/ipvs/error.hpp"
#include "compat/ipvs/service.hpp"
#include "compat/ipvs/settings.hpp"
#include "compat/ipvs/statistics.hpp"

namespace nlvs::ipvs {

/// Where a listing continues. 0 starts; a visit returns the value to resume with. Stable under
/// concurrent changes: an entry that stays is shown exactly once.
using Cursor = std::uint64_t;

/// The verbs of IPVS, free of encodings. The netlink endpoint and the sockopt door call it, the
/// daemon's control plane implements it. Every change is visible to all workers before the call
/// returns (acknowledge after publish).
/// Thread: control.
class Control {
public:
    /// Return false to stop: the visit then returns the cursor of that same entry.
    using ServiceVisitor = std::function<bool(const ServiceView&)>;
    using DestinationVisitor = std::function<bool(const DestinationView&)>;

    /// What a visit returns once it has shown the last entry.
    static constexpr Cursor end = ~Cursor{0};

    Control() = default;
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;
    virtual ~Control() = default;

    virtual Result<void> add_service(const ServiceKey& key, const ServiceSpec& spec) = 0;
    virtual Result<void> edit_service(const ServiceKey& key, const ServiceSpec& spec) = 0;
    virtual Result<void> remove_service(const ServiceKey& key) = 0;
    virtual Result<ServiceView> find_service(const ServiceKey& key) const = 0;
    /// Cheap existence test: the kernel looks the service up before it parses the destination.
    virtual bool has_service(const ServiceKey& key) const = 0;
    virtual Cursor visit_services(Cursor from, const ServiceVisitor& visitor) const = 0;
    virtual std::uint32_t count_services(Family family) const = 0;

    virtual Result<void> add_destination(const ServiceKey& key, const DestinationSpec& spec) = 0;
    virtual Result<void> edit_destination(const ServiceKey& key, const DestinationSpec& spec) = 0;
    virtual Result<void> remove_destination(
        const ServiceKey& key, const DestinationKey& destination
    ) = 0;
    /// Newest first, the kernel's list order. An unknown service shows nothing and ends.
    virtual Cursor visit_destinations(
        const ServiceKey& key, Cursor from, const DestinationVisitor& visitor
    ) const = 0;

    /// Zeroes one service with its destinations, or without a key everything and the totals.
    virtual Result<void> zero(const std::optional<ServiceKey>& key) = 0;
    virtual void flush() = 0;

    virtual Timeouts timeouts() const = 0;
    /// 0 keeps a value; out of the kernel's range is invalid_argument and changes nothing.
    virtual Result<void> set_timeouts(const Timeouts& timeouts) = 0;

    /// Whether a destination has another address family than its service. Linux refuses sync
    /// daemons then, but only those that are started through netlink (ip_vs_genl_new_daemon).
    virtual bool mixes_families() const = 0;

    virtual Result<void> start_daemon(const SyncDaemonConfig& config) = 0;
    virtual Result<void> stop_daemon(std::uint32_t state) = 0;
    /// Running daemons, master first, with effective (defaulted) values.
    virtual std::vector<SyncDaemonConfig> daemons() const = 0;

    virtual Information information() const = 0;
    virtual Statistics totals() const = 0;
};

}  // namespace nlvs::ipvs
