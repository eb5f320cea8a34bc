#include "forwarding/config/destination.hpp"

#include <algorithm>

namespace nlvs::forwarding {
namespace {

/// Linux 6.1.192: the implied lower threshold is three quarters of the upper one.
std::uint32_t lower_bound(std::uint32_t upper, std::uint32_t lower) noexcept {
    return lower != 0 ? lower : upper - upper / 4;
}

}  // namespace

void prepare_bypass(DestinationTable& destinations) {
    destinations.ensure(bypass_destination.value);
    DestinationSlot& slot = destinations[bypass_destination.value];
    slot.method.store(ForwardingMethod::bypass, std::memory_order_relaxed);
    slot.weight.store(1, std::memory_order_relaxed);
    slot.available.store(true, std::memory_order_relaxed);
}

void DestinationSlot::set_link_mtu(std::uint32_t mtu) noexcept {
    link_mtu.store(mtu, std::memory_order_relaxed);
    route_mtu.store(mtu, std::memory_order_relaxed);
    mtu_until.store(0, std::memory_order_relaxed);
}

void DestinationSlot::learn_mtu(std::uint32_t mtu, Ticks now) noexcept {
    // Linux: net/ipv4/route.c ip_rt_min_pmtu, ip_rt_mtu_expires.
    constexpr std::uint32_t least = 552;
    constexpr Ticks life = 600 * ticks_per_second;
    const std::uint32_t learned = std::max(mtu, least);
    if (learned >= route_mtu.load(std::memory_order_relaxed)) return;
    route_mtu.store(learned, std::memory_order_relaxed);
    mtu_until.store((now + life) | 1, std::memory_order_relaxed);
}

void DestinationSlot::forget_mtu(Ticks now) noexcept {
    const Ticks until = mtu_until.load(std::memory_order_relaxed);
    if (static_cast<std::int32_t>(until - now) > 0) return;
    mtu_until.store(0, std::memory_order_relaxed);
    route_mtu.store(link_mtu.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

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
