#include "forwarding/mailbox.hpp"

#include <cstdlib>
#include <new>

namespace nlvs::forwarding {

void Mailbox::Free::operator()(rte_ring* ring) const noexcept { std::free(ring); }

Mailbox::Ring Mailbox::make(unsigned element_size, unsigned count) {
    // Own memory rather than a named memzone: mailboxes need no EAL and no unique names.
    const ssize_t size = rte_ring_get_memsize_elem(element_size, count);
    if (size < 0) throw std::bad_alloc{};
    const auto rounded = (static_cast<std::size_t>(size) + RTE_CACHE_LINE_SIZE - 1) /
                         RTE_CACHE_LINE_SIZE * RTE_CACHE_LINE_SIZE;
    Ring ring{static_cast<rte_ring*>(std::aligned_alloc(RTE_CACHE_LINE_SIZE, rounded))};
    if (!ring || rte_ring_init(ring.get(), "mailbox", count, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0) {
        throw std::bad_alloc{};
    }
    return ring;
}

Mailbox::Mailbox()
    : requests_{make(sizeof(void*), requests_at_once * 2)},
      answers_{make(sizeof(void*), requests_at_once * 2)},
      wanted_{make(sizeof(NeighbourWanted), neighbours_at_once * 2)},
      announced_{make(sizeof(SyncAnnouncement), announcements_at_once * 2)} {}

}  // namespace nlvs::forwarding
