#pragma once

#include <array>
#include <cstdint>
#include <limits>

#include "compat/ipvs/settings.hpp"
#include "forwarding/identifiers.hpp"

namespace nlvs::forwarding {

/// Everything global that a worker obeys. Published as one node on every change.
/// Thread: immutable.
struct Settings {
    /// Life times per protocol state, ready for the data path.
    struct StateTimeouts {
        std::array<Ticks, 16> tcp{};   ///< by ipvs::TcpState
        std::array<Ticks, 16> sctp{};  ///< by SCTP state
        Ticks udp = 0;
    };

    ipvs::Timeouts timeouts;
    ipvs::Sysctls sysctls;
    StateTimeouts state_timeouts;
    bool secure_tcp = false;  ///< the secure_tcp state tables are in force
    bool drop_entry = false;  ///< half-open and idle connections are thrown out
    std::int32_t drop_rate = 0;  ///< every n-th packet that would open a connection is dropped
    bool sync_master = false;    ///< connections are announced to a sync backup
    bool passive = false;        ///< backup_only while a sync backup runs: nothing is balanced
    bool ipv4_forwarding = true;  ///< net.ipv4.ip_forward of the namespace
    bool ipv6_forwarding = true;
};

/// Free and buffered memory of the host, in pages.
inline constexpr std::int64_t plenty_of_memory = std::numeric_limits<std::int64_t>::max();

/// The defences drop_entry, drop_packet and secure_tcp have four modes: 0 off, 1 on when memory is
/// short, 2 the same and on now, 3 on. This moves each between 1 and 2.
/// Linux: ip_vs_ctl.c update_defense_level.
void follow_memory(ipvs::Sysctls& sysctls, std::int64_t available_pages) noexcept;

/// Settings with everything that follows from `timeouts` and `sysctls` filled in.
Settings make_settings(
    const ipvs::Timeouts& timeouts, const ipvs::Sysctls& sysctls,
    std::int64_t available_pages = plenty_of_memory
) noexcept;

}  // namespace nlvs::forwarding
