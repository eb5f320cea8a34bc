#pragma once

#include "forwarding/connections/reserved_region.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace nlvs::forwarding {

/// Fixed-size entries found by a 32-bit index, stable for their life. Index 0 is never handed
/// out, so that 0 may mean "none" in links and fresh zeroed memory is a valid initial state.
/// Free entries form a list through the member Link; the last one freed is the first reused.
///
/// Memory order: the worker alone allocates and frees. live_ is its counter, read relaxed by
/// control, to which only the order of magnitude matters. For committed memory see
/// ReservedRegion.
///
/// Thread: its worker, except reserve, live and memory (any).
template <class Entry, std::uint32_t Entry::*Link>
class EntryPool {
public:
    using value_type = Entry;

    EntryPool(std::uint32_t maximum, int numa_node)
        : region_{(std::size_t{maximum} + 1) * sizeof(Entry), numa_node},
          entries_{reinterpret_cast<Entry*>(region_.base())},
          maximum_{maximum} {
        static_assert(ReservedRegion::step % sizeof(Entry) == 0);
        static_assert(std::is_trivially_destructible_v<Entry>);
    }

    Entry& operator[](std::uint32_t index) noexcept { return entries_[index]; }

    const Entry& operator[](std::uint32_t index) const noexcept { return entries_[index]; }

    std::uint32_t index_of(const Entry* entry) const noexcept {
        return static_cast<std::uint32_t>(entry - entries_);
    }

    /// A reset entry, or 0 when the maximum or memory is reached.
    std::uint32_t allocate() noexcept {
        std::uint32_t index = free_;
        if (index != 0) [[likely]] {
            free_ = entries_[index].*Link;
        } else if (used_ < usable_ || extend()) {
            index = used_++;
        } else {
            return 0;
        }
        entries_[index] = Entry{};
        count(1);
        return index;
    }

    void release(std::uint32_t index) noexcept {
        entries_[index] = Entry{};
        entries_[index].*Link = free_;
        free_ = index;
        count(~0U);
    }

    /// True if `entries` allocations in a row will succeed; commits memory when it must.
    bool can_allocate(std::uint32_t entries) noexcept {
        const std::uint64_t needed = std::uint64_t{live()} + entries + 1;
        if (needed <= usable_) [[likely]]
            return true;
        if (needed > std::uint64_t{maximum_} + 1) return false;
        const bool done = region_.commit(
            needed * sizeof(Entry), ReservedRegion::Contention::wait, ReservedRegion::Touch::now
        );
        refresh();
        return done;
    }

    /// One more than the highest index ever handed out.
    std::uint32_t used() const noexcept { return used_; }

    std::uint32_t live() const noexcept { return live_.load(std::memory_order_relaxed); }

    std::uint32_t maximum() const noexcept { return maximum_; }

    std::size_t memory() const noexcept { return region_.committed(); }

    /// Commits memory for `ahead` entries beyond those in use.
    void reserve(std::uint32_t ahead) noexcept {
        const std::uint64_t wanted = std::uint64_t{live()} + ahead;
        const std::uint64_t entries = (wanted < maximum_ ? wanted : maximum_) + 1;
        region_.commit(
            entries * sizeof(Entry), ReservedRegion::Contention::wait, ReservedRegion::Touch::now
        );
    }

private:
    void count(std::uint32_t change) noexcept {
        live_.store(live_.load(std::memory_order_relaxed) + change, std::memory_order_relaxed);
    }

    void refresh() noexcept {
        const std::size_t fit = region_.committed() / sizeof(Entry);
        usable_ = fit > maximum_ ? maximum_ + 1 : static_cast<std::uint32_t>(fit);
    }

    /// Takes over what control has committed, else commits a step itself.
    bool extend() noexcept {
        refresh();
        if (used_ < usable_) return true;
        if (used_ > maximum_) return false;
        region_.commit(
            (std::size_t{used_} + 1) * sizeof(Entry),
            ReservedRegion::Contention::wait,
            ReservedRegion::Touch::now
        );
        refresh();
        return used_ < usable_;
    }

    ReservedRegion region_;
    Entry* entries_;
    std::uint32_t maximum_;
    std::uint32_t free_ = 0;
    std::uint32_t used_ = 1;
    std::uint32_t usable_ = 0;  ///< end of the indices known to be committed
    std::atomic<std::uint32_t> live_{0};
};

}  // namespace nlvs::forwarding
