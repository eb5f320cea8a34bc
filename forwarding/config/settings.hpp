#pragma once

#include "compat/ipvs/settings.hpp"
#include "forwarding/identifiers.hpp"

namespace nlvs::forwarding {

/// Everything global that a worker obeys. Published as one node on every change.
/// Thread: immutable.
struct Settings {
    ipvs::Timeouts timeouts;
    ipvs::Sysctls sysctls;
    bool ipv4_forwarding = true;  ///< net.ipv4.ip_forward of the namespace
    bool ipv6_forwarding = true;
};

}  // namespace nlvs::forwarding
