#include "forwarding/connections/reserved_region.hpp"

#include <cerrno>
#include <cstdint>
#include <new>

#include <linux/mempolicy.h>
#include <rte_pause.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nlvs::forwarding {
namespace {

constexpr int huge_page_size_2m = 21 << MAP_HUGE_SHIFT;

// glibc 2.36 has the constant only in linux/mman.h, which clashes with sys/mman.h.
#ifndef MADV_POPULATE_WRITE
constexpr int MADV_POPULATE_WRITE = 23;
#endif

bool map(std::byte* at, int flags) noexcept {
    return mmap(
               at,
               ReservedRegion::step,
               PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | flags,
               -1,
               0
           ) != MAP_FAILED;
}

/// Best effort: where the node is unknown or full, the kernel takes another.
void prefer_node(std::byte* at, int node) noexcept {
    if (node < 0 || node >= 64) return;
    const std::uint64_t mask = std::uint64_t{1} << node;
    syscall(SYS_mbind, at, ReservedRegion::step, MPOL_PREFERRED, &mask, 65, 0);
}

}  // namespace

ReservedRegion::ReservedRegion(std::size_t bytes, int numa_node) : numa_node_{numa_node} {
    capacity_ = (bytes + step - 1) / step * step;
    mapping_size_ = capacity_ + step;
    void* mapping =
        mmap(nullptr, mapping_size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) throw std::bad_alloc{};
    mapping_ = static_cast<std::byte*>(mapping);
    const auto address = reinterpret_cast<std::uintptr_t>(mapping_);
    base_ = mapping_ + (step - address % step) % step;
}

ReservedRegion::~ReservedRegion() {
    munmap(mapping_, mapping_size_);
}

bool ReservedRegion::commit(std::size_t bytes, Contention contention, Touch touch) noexcept {
    if (bytes > capacity_) return false;
    while (committed_.load(std::memory_order_acquire) < bytes) {
        if (committing_.test_and_set(std::memory_order_acquire)) {
            if (contention == Contention::give_up) return false;
            rte_pause();
            continue;
        }
        const std::size_t old = committed_.load(std::memory_order_relaxed);
        const bool done = old >= bytes || commit_step(base_ + old, touch);
        if (done && old < bytes) committed_.store(old + step, std::memory_order_release);
        committing_.clear(std::memory_order_release);
        if (!done) return false;
    }
    return true;
}

bool ReservedRegion::commit_step(std::byte* at, Touch touch) const noexcept {
    if (map(at, MAP_HUGETLB | huge_page_size_2m)) {
        prefer_node(at, numa_node_);
        // Touched at once whatever was asked: a page that a cgroup limit withholds is an error
        // here but SIGBUS later.
        if (madvise(at, step, MADV_POPULATE_WRITE) == 0) return true;
    }
    if (!map(at, 0)) return false;
    prefer_node(at, numa_node_);
    madvise(at, step, MADV_HUGEPAGE);
    if (touch == Touch::later) return true;
    return madvise(at, step, MADV_POPULATE_WRITE) == 0 || errno == EINVAL;
}

}  // namespace nlvs::forwarding
