#pragma once

#include "forwarding/schedulers/destination_load.hpp"

namespace nlvs::forwarding::weighted_least_connection {

/// The least overhead per weight. Linux: ip_vs_wlc.c.
inline const ServiceDestination* pick(const Service& service) noexcept {
    return least_loaded(service, overhead);
}

}  // namespace nlvs::forwarding::weighted_least_connection
