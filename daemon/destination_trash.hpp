#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "compat/ipvs/destination.hpp"
#include "compat/ipvs/service.hpp"
#include "daemon/registered.hpp"

namespace nlvs::daemon {

/// Deleted destinations that connections may still refer to, and that an identical addition
/// brings back to life. Linux: ip_vs_ctl.c ip_vs_trash_get_dest, ip_vs_dest_trash_expire.
/// Thread: control.
class DestinationTrash {
public:
    using Clock = std::chrono::steady_clock;

    /// Linux: IP_VS_DEST_TRASH_PERIOD; half of it is the period of scans.
    static constexpr std::chrono::seconds idle_period{120};
    static constexpr std::chrono::seconds scan_period{60};

    void put(const RegisteredService& service, std::unique_ptr<RegisteredDestination> destination);

    /// The youngest entry for this destination of this virtual service, or null.
    std::unique_ptr<RegisteredDestination> take(
        const RegisteredService& service, const ipvs::DestinationKey& destination
    );

    /// An entry that nothing refers to is marked idle; a scan at least idle_period later that
    /// finds it unreferenced hands it to `release`. As in the kernel a reference in between does
    /// not clear the mark.
    void scan(
        Clock::time_point now,
        const std::function<bool(const RegisteredDestination&)>& is_referenced,
        const std::function<void(const RegisteredDestination&)>& release
    );

    std::size_t size() const noexcept { return entries_.size(); }

private:
    struct Key {
        ipvs::DestinationKey destination;
        ipvs::ServiceKey service;
        std::uint16_t mark_protocol = 0;  ///< what a service by mark was given

        friend auto operator<=>(const Key&, const Key&) = default;
    };

    struct Entry {
        std::unique_ptr<RegisteredDestination> destination;
        std::optional<Clock::time_point> idle_since;
    };

    static Key key_of(const RegisteredService& service, const ipvs::DestinationKey& destination);

    std::multimap<Key, Entry> entries_;  ///< equal keys: oldest first
};

}  // namespace nlvs::daemon
