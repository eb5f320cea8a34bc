#pragma once

#include <cstdint>

#include "compat/ipvs/settings.hpp"
#include "forwarding/identifiers.hpp"

namespace nlvs::forwarding {

/// When a connection was last announced, as far as sync_refresh_period needs to know: the tick at
/// which it was going to expire then, and how often that was repeated.
/// Linux: struct ip_vs_conn sync_endtime, whose two lowest bits count the repetitions.
class SyncEnd {
public:
    constexpr SyncEnd() = default;

    constexpr SyncEnd(Ticks end, std::uint32_t retries) noexcept : value_{(end << 2) | retries} {}

    static constexpr SyncEnd from(std::uint32_t stored) noexcept {
        SyncEnd result;
        result.value_ = stored;
        return result;
    }

    constexpr std::uint32_t stored() const noexcept { return value_; }

    constexpr std::uint32_t retries() const noexcept { return value_ & 3; }

    /// Ticks from this end to `other`, negative when that is earlier. Ends are known modulo 2^30
    /// ticks.
    constexpr std::int32_t until(Ticks other) const noexcept {
        return static_cast<std::int32_t>((other << 2) - (value_ & ~3U)) / 4;
    }

private:
    std::uint32_t value_ = 0;
};

/// A connection that a packet has just passed, or a template that a connection relies on.
struct SyncSubject {
    bool is_template = false;
    bool persistent = false;  ///< a connection that relies on a template
    std::uint8_t protocol = 0;
    std::uint8_t state = 0;
    std::uint8_t announced_state = 0;
    std::uint32_t packets = 0;
    Ticks timeout = 0;
    SyncEnd end;  ///< of its last announcement, or its beginning
};

struct SyncDecision {
    bool announce = false;
    SyncEnd end;  ///< to remember
};

/// Linux: ip_vs_sync.c ip_vs_sync_conn_needed.
SyncDecision decide_sync(
    const SyncSubject& subject, const ipvs::Sysctls& sysctls, Ticks now
) noexcept;

}  // namespace nlvs::forwarding
