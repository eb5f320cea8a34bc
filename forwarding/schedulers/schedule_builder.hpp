#pragma once

#include "forwarding/config/service.hpp"

#include <cstdint>

namespace nlvs::forwarding {

/// Completes the scheduling part of service nodes: `version`, `bound_version`, `changes`,
/// `buckets`. The caller has filled everything else of `next`, in the kernel's list order.
/// One builder serves all services, so that no version ever repeats.
/// Thread: control.
class ScheduleBuilder {
public:
    /// A new service, or one whose scheduler has been replaced by another.
    /// Linux: ip_vs_bind_scheduler.
    void bind(Service& next);
    /// A destination was added to or edited in `previous`; an edit counts even if it changes
    /// nothing. Linux: ip_vs_scheduler add_dest, upd_dest.
    void destination_changed(Service& next, const Service& previous);
    /// Exactly one destination of `previous` is missing. Linux: ip_vs_scheduler del_dest.
    void destination_removed(Service& next, const Service& previous);
    /// Only the service itself was edited (flags, timeout …).
    void service_edited(Service& next, const Service& previous);

private:
    void append(Service& next, const Service& previous, ScheduleChange change);

    std::uint64_t version_ = 0;
};

}  // namespace nlvs::forwarding
