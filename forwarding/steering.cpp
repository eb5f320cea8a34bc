#include "forwarding/steering.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdlib>
#include <new>

namespace nlvs::forwarding {

void HandOver::Free::operator()(rte_ring* ring) const noexcept { std::free(ring); }

HandOver::HandOver(std::uint16_t workers) {
    const auto size = static_cast<std::size_t>(rte_ring_get_memsize(packets_waiting));
    const std::size_t rounded =
        (size + RTE_CACHE_LINE_SIZE - 1) / RTE_CACHE_LINE_SIZE * RTE_CACHE_LINE_SIZE;
    for (WorkerId i = 0; i < workers; ++i) {
        auto* ring = static_cast<rte_ring*>(std::aligned_alloc(RTE_CACHE_LINE_SIZE, rounded));
        if (ring == nullptr) throw std::bad_alloc{};
        rings_.emplace_back(ring);
        doorbells_.push_back(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
        if (doorbells_.back() < 0) throw std::bad_alloc{};
        if (rte_ring_init(ring, "hand-over", packets_waiting, RING_F_SC_DEQ) != 0) {
            throw std::bad_alloc{};
        }
    }
}

HandOver::~HandOver() {
    for (const int doorbell : doorbells_) close(doorbell);
}

void HandOver::awake(WorkerId owner) noexcept {
    asleep_[owner].store(false, std::memory_order_relaxed);
    eventfd_t rings = 0;
    [[maybe_unused]] const int result = eventfd_read(doorbells_[owner], &rings);
}

void HandOver::wake(WorkerId owner) noexcept {
    // A full eventfd counter already means "awake", so the result does not matter.
    [[maybe_unused]] const int result = eventfd_write(doorbells_[owner], 1);
}

}  // namespace nlvs::forwarding
