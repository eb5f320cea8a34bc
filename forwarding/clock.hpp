#pragma once

#include <rte_cycles.h>

#include "forwarding/identifiers.hpp"

namespace nlvs::forwarding {

/// Turns the time-stamp counter into the coarse clock of connection life times. Ticks count from
/// the machine's TSC zero, so every worker and control agree on them.
/// Thread: any (each holder its own instance).
class Clock {
public:
    Clock() noexcept : cycles_per_tick_{rte_get_tsc_hz() / ticks_per_second} {}

    Time read() noexcept {
        const std::uint64_t tsc = rte_rdtsc();
        if (tsc >= next_) {
            now_ = static_cast<Ticks>(tsc / cycles_per_tick_);
            next_ = (tsc / cycles_per_tick_ + 1) * cycles_per_tick_;
        }
        return {tsc, now_};
    }

    std::uint64_t cycles_per_tick() const noexcept { return cycles_per_tick_; }

private:
    std::uint64_t cycles_per_tick_;
    std::uint64_t next_ = 0;
    Ticks now_ = 0;
};

}  // namespace nlvs::forwarding
