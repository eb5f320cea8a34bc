#pragma once

#include <rte_cycles.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "forwarding/connections/reserved_region.hpp"
#include "forwarding/schedulers/random_source.hpp"

namespace nlvs::bench {

/// What no connection table can avoid: for each packet of a burst one random bucket line, then
/// one random entry line, which it writes, both prefetched over the burst. Memory is as the table
/// has it: reserved regions of the same size, huge pages where there are any.
class Floor {
public:
    Floor(std::uint32_t bucket_lines, std::uint32_t entry_lines)
        : bucket_memory_{std::size_t{bucket_lines} * sizeof(Line), forwarding::ReservedRegion::any_node},
          entry_memory_{std::size_t{entry_lines} * sizeof(Line), forwarding::ReservedRegion::any_node},
          buckets_{committed(bucket_memory_)},
          entries_{committed(entry_memory_)},
          bucket_lines_{bucket_lines} {
        for (std::uint32_t i = 0; i < bucket_lines; ++i) {
            buckets_[i].value = random_.below(entry_lines);
        }
    }

    /// Cycles of one burst.
    std::uint64_t turn() noexcept {
        std::uint32_t picks[burst];
        for (auto& pick : picks) pick = static_cast<std::uint32_t>(random_.below(bucket_lines_));
        const std::uint64_t start = rte_rdtsc_precise();
        for (const auto pick : picks) __builtin_prefetch(&buckets_[pick]);
        for (const auto pick : picks) __builtin_prefetch(&entries_[buckets_[pick].value]);
        for (const auto pick : picks) entries_[buckets_[pick].value].value = start;
        return rte_rdtsc_precise() - start;
    }

private:
    static constexpr unsigned burst = 32;

    struct alignas(64) Line {
        std::uint64_t value;
    };

    static Line* committed(forwarding::ReservedRegion& region) {
        using forwarding::ReservedRegion;
        region.commit(
            region.capacity(), ReservedRegion::Contention::wait, ReservedRegion::Touch::now
        );
        return reinterpret_cast<Line*>(region.base());
    }

    forwarding::ReservedRegion bucket_memory_;
    forwarding::ReservedRegion entry_memory_;
    Line* buckets_;
    Line* entries_;
    std::uint32_t bucket_lines_;
    forwarding::RandomSource random_{7};
};

}  // namespace nlvs::bench
