#include "forwarding/connections/flow_index.hpp"

#include <algorithm>
#include <new>

namespace nlvs::forwarding {
namespace {

constexpr std::uint64_t buckets_for(std::uint64_t records) noexcept {
    return records * 4 / FlowIndex::load_quarters + 1;
}

/// Chains need at most a seventh of this; the rest is what can_insert() may ask to be sure of.
/// Only address space.
std::uint32_t overflow_limit(std::uint64_t maximum) noexcept {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(maximum + 4, 1U << 31));
}

}  // namespace

FlowIndex::FlowIndex(std::uint64_t maximum, std::uint32_t initial_buckets, int numa_node)
    : overflow_{overflow_limit(maximum), numa_node},
      region_{
          std::max<std::uint64_t>(buckets_for(maximum), initial_buckets) * sizeof(FlowBucket),
          numa_node},
      buckets_{reinterpret_cast<FlowBucket*>(region_.base())},
      maximum_buckets_{static_cast<std::uint32_t>(region_.capacity() / sizeof(FlowBucket))},
      count_{initial_buckets},
      low_mask_{initial_buckets - 1},
      high_mask_{initial_buckets - 1} {
    if (!region_.commit(
            std::size_t{initial_buckets} * sizeof(FlowBucket),
            ReservedRegion::Contention::wait,
            ReservedRegion::Touch::later
        )) {
        throw std::bad_alloc{};
    }
    usable_buckets_ = static_cast<std::uint32_t>(region_.committed() / sizeof(FlowBucket));
}

void FlowIndex::reserve(std::uint64_t records, std::uint32_t ahead) noexcept {
    const std::uint64_t buckets =
        std::min<std::uint64_t>(buckets_for(records + ahead) + 1, maximum_buckets_);
    region_.commit(
        buckets * sizeof(FlowBucket), ReservedRegion::Contention::wait, ReservedRegion::Touch::now
    );
    overflow_.reserve(ahead / 8);
}

}  // namespace nlvs::forwarding
