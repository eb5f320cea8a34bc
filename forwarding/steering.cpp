#include "forwarding/steering.hpp"

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
        if (rte_ring_init(ring, "hand-over", packets_waiting, RING_F_SC_DEQ) != 0) {
            throw std::bad_alloc{};
        }
    }
}

}  // namespace nlvs::forwarding
