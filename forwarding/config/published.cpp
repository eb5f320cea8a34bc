#include "forwarding/config/published.hpp"

#include <cstdlib>
#include <new>

namespace nlvs::forwarding {

QuiescentState::QuiescentState() {
    const std::size_t size = rte_rcu_qsbr_get_memsize(max_workers);
    const std::size_t rounded = (size + RTE_CACHE_LINE_SIZE - 1) & ~(std::size_t{RTE_CACHE_LINE_SIZE} - 1);
    state_ = static_cast<rte_rcu_qsbr*>(std::aligned_alloc(RTE_CACHE_LINE_SIZE, rounded));
    if (state_ == nullptr || rte_rcu_qsbr_init(state_, max_workers) != 0) std::abort();
}

QuiescentState::~QuiescentState() { std::free(state_); }

void QuiescentState::register_worker(WorkerId worker) noexcept {
    rte_rcu_qsbr_thread_register(state_, worker);
    rte_rcu_qsbr_thread_online(state_, worker);
}

void QuiescentState::unregister_worker(WorkerId worker) noexcept {
    rte_rcu_qsbr_thread_offline(state_, worker);
    rte_rcu_qsbr_thread_unregister(state_, worker);
}

}  // namespace nlvs::forwarding
