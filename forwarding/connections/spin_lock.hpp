#pragma once

#include <atomic>

#include <rte_pause.h>

namespace nlvs::forwarding {

/// For critical sections of tens of nanoseconds that are entered when a connection opens or
/// closes, never per packet. Usable with std::scoped_lock. In plain C++ atomics, unlike
/// rte_spinlock, so that the thread sanitizer understands it.
///
/// Memory order: lock acquires what the previous holder released by unlock.
/// Thread: any.
class SpinLock {
public:
    void lock() noexcept {
        while (locked_.test_and_set(std::memory_order_acquire)) {
            while (locked_.test(std::memory_order_relaxed)) rte_pause();
        }
    }

    bool try_lock() noexcept { return !locked_.test_and_set(std::memory_order_acquire); }

    void unlock() noexcept { locked_.clear(std::memory_order_release); }

private:
    std::atomic_flag locked_;
};

}  // namespace nlvs::forwarding
