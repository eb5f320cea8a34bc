#pragma once

#include <cstdint>

#include "compat/ipvs/statistics.hpp"

namespace nlvs::daemon {

/// What listings show of one destination, service or of everything: a snapshot of the live
/// counters taken every two seconds, minus the zero base, and exponentially weighted rates.
/// Fixed point as in the kernel (connections and packets scaled by 2^10, bytes by 2^5), so that
/// figures compare. Linux: ip_vs_est.c estimation_timer, ip_vs_read_estimator; ip_vs_ctl.c
/// ip_vs_copy_stats, ip_vs_zero_stats.
/// Thread: control.
class RateEstimator {
public:
    /// `live` counts up from any origin; the first one given to start() is 0 to viewers.
    void start(const ipvs::Totals& live) noexcept {
        *this = RateEstimator{};
        snapshot_ = live;
        zero_base_ = live;
    }

    /// One period has passed.
    void tick(const ipvs::Totals& live) noexcept {
        const ipvs::Totals delta = live - snapshot_;
        snapshot_ = live;
        smooth(connections_, delta.connections, unit_shift);
        smooth(in_packets_, delta.in_packets, unit_shift);
        smooth(out_packets_, delta.out_packets, unit_shift);
        smooth(in_bytes_, delta.in_bytes, byte_shift);
        smooth(out_bytes_, delta.out_bytes, byte_shift);
    }

    /// The base is the snapshot, not the live value: what came since the last tick appears at
    /// the next one.
    void zero() noexcept {
        zero_base_ = snapshot_;
        connections_ = in_packets_ = out_packets_ = in_bytes_ = out_bytes_ = 0;
    }

    ipvs::Statistics view() const noexcept {
        return {
            snapshot_ - zero_base_,
            {show(connections_, unit_shift), show(in_packets_, unit_shift),
             show(out_packets_, unit_shift), show(in_bytes_, byte_shift),
             show(out_bytes_, byte_shift)}
        };
    }

private:
    /// Half of the scale: a difference over two seconds is a rate after one shift less.
    static constexpr unsigned unit_shift = 9;
    static constexpr unsigned byte_shift = 4;

    static void smooth(std::int64_t& average, std::uint64_t delta, unsigned shift) noexcept {
        average += (static_cast<std::int64_t>(delta << shift) - average) >> 2;
    }

    static std::uint64_t show(std::int64_t average, unsigned shift) noexcept {
        const std::uint64_t rounding = (std::uint64_t{1} << shift) - 1;
        return (static_cast<std::uint64_t>(average) + rounding) >> (shift + 1);
    }

    ipvs::Totals snapshot_;
    ipvs::Totals zero_base_;
    std::int64_t connections_ = 0;
    std::int64_t in_packets_ = 0;
    std::int64_t out_packets_ = 0;
    std::int64_t in_bytes_ = 0;
    std::int64_t out_bytes_ = 0;
};

}  // namespace nlvs::daemon
