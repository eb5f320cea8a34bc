#pragma once

#include <atomic>
#include <cstddef>

namespace nlvs::forwarding {

/// Address space that is reserved once and filled with zeroed memory in 2-MiB steps, on huge
/// pages where the system has them. Never moves, never shrinks before its destruction.
///
/// Memory order: committed_ is released after the step is mapped, so whoever loads it with
/// acquire may use all bytes below it. Committers exclude each other by a spin lock that is held
/// for one step; readers never touch it.
///
/// Thread: commit any; committed any.
class ReservedRegion {
public:
    static constexpr std::size_t step = std::size_t{2} << 20;
    static constexpr int any_node = -1;

    /// What commit does while somebody else is committing.
    enum class Contention { wait, give_up };

    /// Whether the pages are touched now or by their first use.
    enum class Touch { now, later };

    /// Throws std::bad_alloc when the address space is not to be had. Memory comes from
    /// `numa_node` if possible.
    ReservedRegion(std::size_t bytes, int numa_node);
    ReservedRegion(const ReservedRegion&) = delete;
    ReservedRegion& operator=(const ReservedRegion&) = delete;
    ~ReservedRegion();

    std::byte* base() const noexcept { return base_; }

    std::size_t capacity() const noexcept { return capacity_; }

    std::size_t committed() const noexcept { return committed_.load(std::memory_order_acquire); }

    /// Makes at least `bytes` usable. False when memory or capacity ends, or after give_up.
    bool commit(std::size_t bytes, Contention contention, Touch touch) noexcept;

private:
    bool commit_step(std::byte* at, Touch touch) const noexcept;

    std::byte* mapping_ = nullptr;  ///< as mmap returned it
    std::size_t mapping_size_ = 0;
    std::byte* base_ = nullptr;  ///< aligned to a step
    std::size_t capacity_ = 0;
    int numa_node_;
    std::atomic<std::size_t> committed_{0};
    std::atomic_flag committing_;
};

}  // namespace nlvs::forwarding
