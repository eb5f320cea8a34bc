#pragma once

#include "forwarding/schedulers/destination_load.hpp"

namespace nlvs::forwarding::shortest_expected_delay {

/// The least (active + 1) per weight: the delay a new connection would see.
/// Linux: ip_vs_sed.c.
inline const ServiceDestination* pick(const Service& service) noexcept {
    return least_loaded(service, [](const ServiceDestination& destination) {
        return std::int64_t{active_connections(destination)} + 1;
    });
}

}  // namespace nlvs::forwarding::shortest_expected_delay
