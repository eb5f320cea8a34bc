#pragma once

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "forwarding/connections/entry_pool.hpp"
#include "forwarding/connections/reserved_region.hpp"
#include "forwarding/packet/flow.hpp"

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace nlvs::forwarding {

/// What an index record points at: an entry of the table, and which of its two keys.
struct FlowReference {
    std::uint32_t value = 0;  ///< 0: none; entry index 0 does not exist

    constexpr FlowReference() = default;

    constexpr FlowReference(std::uint32_t index, Direction direction) noexcept
        : value{index << 1 | static_cast<std::uint32_t>(direction)} {}

    constexpr std::uint32_t index() const noexcept { return value >> 1; }

    constexpr Direction direction() const noexcept { return static_cast<Direction>(value & 1); }

    friend constexpr bool operator==(FlowReference, FlowReference) = default;
};

/// One cache line of the index. Records fill it from the front.
struct alignas(64) FlowBucket {
    static constexpr std::uint32_t capacity = 7;

    std::uint32_t hashes[capacity]{};
    std::uint32_t overflow = 0;  ///< next bucket of the chain in the overflow pool
    FlowReference references[capacity]{};
    std::uint32_t count = 0;

    /// Bit i is set iff record i exists and has this hash.
    std::uint32_t matches(std::uint32_t hash) const noexcept {
        const std::uint32_t valid = (1U << count) - 1;
#ifdef __AVX2__
        const __m256i stored = _mm256_load_si256(reinterpret_cast<const __m256i*>(hashes));
        const __m256i wanted = _mm256_set1_epi32(static_cast<int>(hash));
        const __m256i equal = _mm256_cmpeq_epi32(stored, wanted);
        return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(equal))) & valid;
#else
        std::uint32_t equal = 0;
        for (std::uint32_t i = 0; i < capacity; ++i) equal |= std::uint32_t{hashes[i] == hash} << i;
        return equal & valid;
#endif
    }

    void append(std::uint32_t hash, FlowReference reference) noexcept {
        hashes[count] = hash;
        references[count] = reference;
        ++count;
    }
};

static_assert(sizeof(FlowBucket) == 64);
static_assert(offsetof(FlowBucket, references) == 32, "matches() reads 32 bytes from hashes");

/// Hash → FlowReference, several per hash. Linear hashing: `buckets_` is any number; a hash
/// belongs to bucket h mod 2p if that exists, else h mod p, p the power of two at or below
/// buckets_. Growing by one splits bucket buckets_ - p into itself and the new one, by one more
/// bit of the stored hashes, so that no entry is touched and the cost of growth is spread evenly
/// over insertions. At `load` records per bucket on average; while a round is under way the
/// buckets that are still to be split hold up to twice what the others hold, and what does not
/// fit goes to a chain of overflow buckets. All of a chain is full but its bucket and its first
/// overflow bucket, which makes insertion and the removal of a found record constant-time.
///
/// Thread: its worker, except reserve and memory (any).
class FlowIndex {
public:
    /// Records per bucket, times four. Measured by tests/benchmarks/connection_table_bench.cpp.
    static constexpr std::uint32_t load_quarters = 14;
    static constexpr std::uint32_t step_buckets = ReservedRegion::step / sizeof(FlowBucket);

    /// Room for `maximum` records; `initial_buckets` is a power of two.
    /// Throws std::bad_alloc.
    FlowIndex(std::uint64_t maximum, std::uint32_t initial_buckets, int numa_node);

    void prefetch(std::uint32_t hash) const noexcept { __builtin_prefetch(&buckets_[home(hash)]); }

    /// Calls accept(FlowReference) for the records with this hash until it returns true; that
    /// reference, or none.
    template <class Accept>
    FlowReference find(std::uint32_t hash, Accept&& accept) const noexcept {
        const FlowBucket* bucket = &buckets_[home(hash)];
        for (;;) {
            for (std::uint32_t left = bucket->matches(hash); left != 0; left &= left - 1) {
                const FlowReference reference = bucket->references[std::countr_zero(left)];
                if (accept(reference)) return reference;
            }
            if (bucket->overflow == 0) [[likely]]
                return {};
            bucket = &overflow_[bucket->overflow];
        }
    }

    /// Prefetches what a find() of this hash will read after its first bucket, entry(FlowReference)
    /// of the first record with the hash or else the bucket's first overflow bucket, and returns
    /// that record's reference, or none. Without branches on what is in the bucket: where it has
    /// neither, the line means nothing.
    template <class EntryOf>
    FlowReference prefetch_next(std::uint32_t hash, EntryOf&& entry) const noexcept {
        const FlowBucket& bucket = buckets_[home(hash)];
        const std::uint32_t matches = bucket.matches(hash);
        const int first = std::countr_zero(matches | 1U << (FlowBucket::capacity - 1));
        const FlowReference reference = bucket.references[first];
        const auto* found = reinterpret_cast<const std::byte*>(entry(reference));
        const auto* chain = reinterpret_cast<const std::byte*>(&overflow_[bucket.overflow]);
        const std::byte* line = matches != 0 ? found : chain;
        __builtin_prefetch(line);
        if constexpr (sizeof(*entry(reference)) > 64) __builtin_prefetch(line + 64);
        return matches != 0 ? reference : FlowReference{};
    }

    /// True if that many insertions in a row cannot fail; commits memory when it must.
    bool can_insert(std::uint32_t records) noexcept { return overflow_.can_allocate(records); }

    /// Requires can_insert.
    void insert(std::uint32_t hash, FlowReference reference) noexcept {
        add(buckets_[home(hash)], hash, reference);
        ++records_;
    }

    /// Splits one bucket if the load asks for it. Call once per connection: the two records that
    /// come with it are less than one bucket.
    void grow() noexcept {
        if (records_ * 4 > std::uint64_t{bucket_count()} * load_quarters) split();
    }

    /// False if there is no such record.
    bool remove(std::uint32_t hash, FlowReference reference) noexcept;

    std::uint64_t records() const noexcept { return records_; }

    std::uint32_t bucket_count() const noexcept { return count_.load(std::memory_order_relaxed); }

    std::uint32_t overflow_count() const noexcept { return overflow_.live(); }

    std::size_t memory() const noexcept { return region_.committed() + overflow_.memory(); }

    /// Commits memory for `ahead` records beyond `records`, so that grow() need not.
    void reserve(std::uint64_t records, std::uint32_t ahead) noexcept;

private:
    std::uint32_t home(std::uint32_t hash) const noexcept {
        const std::uint32_t bucket = hash & high_mask_;
        return bucket < bucket_count() ? bucket : hash & low_mask_;
    }

    void add(FlowBucket& bucket, std::uint32_t hash, FlowReference reference) noexcept;
    void drop_first_overflow(FlowBucket& bucket) noexcept;
    void split() noexcept;

    EntryPool<FlowBucket, &FlowBucket::overflow> overflow_;
    ReservedRegion region_;
    FlowBucket* buckets_;
    std::uint32_t maximum_buckets_;
    std::uint32_t usable_buckets_;  ///< known to be committed
    std::atomic<std::uint32_t> count_;
    std::uint32_t low_mask_;
    std::uint32_t high_mask_;
    std::uint64_t records_ = 0;
};

inline void FlowIndex::add(
    FlowBucket& bucket, std::uint32_t hash, FlowReference reference
) noexcept {
    if (bucket.count < FlowBucket::capacity) [[likely]] {
        bucket.append(hash, reference);
        return;
    }
    if (bucket.overflow != 0 && overflow_[bucket.overflow].count < FlowBucket::capacity) {
        overflow_[bucket.overflow].append(hash, reference);
        return;
    }
    const std::uint32_t fresh = overflow_.allocate();
    overflow_[fresh].overflow = bucket.overflow;
    overflow_[fresh].append(hash, reference);
    bucket.overflow = fresh;
}

inline bool FlowIndex::remove(std::uint32_t hash, FlowReference reference) noexcept {
    FlowBucket& first = buckets_[home(hash)];
    FlowBucket* bucket = &first;
    for (;;) {
        for (std::uint32_t left = bucket->matches(hash); left != 0; left &= left - 1) {
            const auto hole = static_cast<std::uint32_t>(std::countr_zero(left));
            if (bucket->references[hole] != reference) continue;
            FlowBucket& donor = first.overflow != 0 ? overflow_[first.overflow] : first;
            --donor.count;
            bucket->hashes[hole] = donor.hashes[donor.count];
            bucket->references[hole] = donor.references[donor.count];
            if (&donor != &first && donor.count == 0) drop_first_overflow(first);
            --records_;
            return true;
        }
        if (bucket->overflow == 0) return false;
        bucket = &overflow_[bucket->overflow];
    }
}

inline void FlowIndex::drop_first_overflow(FlowBucket& bucket) noexcept {
    const std::uint32_t empty = bucket.overflow;
    bucket.overflow = overflow_[empty].overflow;
    overflow_.release(empty);
}

inline void FlowIndex::split() noexcept {
    const std::uint32_t count = bucket_count();
    if (count == usable_buckets_) [[unlikely]] {
        if (count == maximum_buckets_) return;
        const std::size_t needed = (std::size_t{count} + 1) * sizeof(FlowBucket);
        // Not worth a wait: the next insertion tries again.
        region_.commit(needed, ReservedRegion::Contention::give_up, ReservedRegion::Touch::now);
        usable_buckets_ = static_cast<std::uint32_t>(region_.committed() / sizeof(FlowBucket));
        if (count == usable_buckets_) return;
    }
    if (count > high_mask_) {
        low_mask_ = high_mask_;
        high_mask_ = high_mask_ << 1 | 1;
    }
    FlowBucket& old = buckets_[count & low_mask_];
    FlowBucket& fresh = buckets_[count];
    __builtin_prefetch(&old + 1, 1);
    __builtin_prefetch(&fresh + 1, 1);
    const std::uint32_t bit = low_mask_ + 1;
    // A chain's overflow buckets are freed before their records are placed, so this never needs
    // more of them than it gave back.
    FlowBucket source = old;
    old.count = 0;
    old.overflow = 0;
    fresh = FlowBucket{};
    for (;;) {
        for (std::uint32_t i = 0; i < source.count; ++i) {
            add((source.hashes[i] & bit) != 0 ? fresh : old, source.hashes[i], source.references[i]
            );
        }
        const std::uint32_t next = source.overflow;
        if (next == 0) break;
        source = overflow_[next];
        overflow_.release(next);
    }
    count_.store(count + 1, std::memory_order_relaxed);
}

}  // namespace nlvs::forwarding
