#include "forwarding/config/destination.hpp"

namespace nlvs::forwarding {
namespace {

/// Linux 6.1.192: the implied lower threshold is three quarters of the upper one.
std::uint32_t lower_bound(std::uint32_t upper, std::uint32_t lower) noexcept {
    return lower != 0 ? lower : upper - upper / 4;
}

}  // namespace

void DestinationSlot::Totals::bind() noexcept {
    const std::uint32_t now = connections.fetch_add(1, std::memory_order_relaxed) + 1;
    const std::uint32_t upper = upper_threshold.load(std::memory_order_relaxed);
    if (now != upper) return;
    const std::uint32_t lower = lower_bound(upper, lower_threshold.load(std::memory_order_relaxed));
    overloaded.store(upper != 0 && now >= lower, std::memory_order_relaxed);
}

void DestinationSlot::Totals::unbind(bool was_active) noexcept {
    if (was_active) active.fetch_sub(1, std::memory_order_relaxed);
    const std::uint32_t old = connections.fetch_sub(1, std::memory_order_relaxed);
    const std::uint32_t upper = upper_threshold.load(std::memory_order_relaxed);
    const std::uint32_t lower = lower_bound(upper, lower_threshold.load(std::memory_order_relaxed));
    if (old != lower) return;
    overloaded.store(upper != 0 && old - 1 >= upper, std::memory_order_relaxed);
}

void DestinationSlot::Totals::reevaluate() noexcept {
    const std::uint32_t upper = upper_threshold.load(std::memory_order_relaxed);
    const std::uint32_t lower = lower_bound(upper, lower_threshold.load(std::memory_order_relaxed));
    const std::uint32_t now = connections.load(std::memory_order_relaxed);
    if (upper == 0 || now < lower) {
        overloaded.store(false, std::memory_order_relaxed);
    } else if (now >= upper) {
        overloaded.store(true, std::memory_order_relaxed);
    }
}

}  // namespace nlvs::forwarding
