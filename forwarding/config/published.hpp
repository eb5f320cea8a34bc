#pragma once

#include <rte_rcu_qsbr.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "forwarding/identifiers.hpp"

namespace nlvs::forwarding {

/// Crossing 1: control publishes immutable nodes, workers read them without locks.
///
/// Memory order: a node is complete before the release store that publishes it; a reader's
/// acquire load therefore sees all of it. A replaced node is freed only after every online worker
/// has reported quiescence at least once since the replacement (QSBR), and a worker keeps no
/// reference across its report.
///
/// Thread: register/online/offline/report worker; token/passed control.
class QuiescentState {
public:
    QuiescentState();
    QuiescentState(const QuiescentState&) = delete;
    QuiescentState& operator=(const QuiescentState&) = delete;
    ~QuiescentState();

    void register_worker(WorkerId worker) noexcept;
    void unregister_worker(WorkerId worker) noexcept;

    /// An offline worker does not hold up reclamation; call around sleeps.
    void online(WorkerId worker) noexcept { rte_rcu_qsbr_thread_online(state_, worker); }

    void offline(WorkerId worker) noexcept { rte_rcu_qsbr_thread_offline(state_, worker); }

    void report(WorkerId worker) noexcept { rte_rcu_qsbr_quiescent(state_, worker); }

    /// Starts a grace period.
    std::uint64_t token() noexcept { return rte_rcu_qsbr_start(state_); }

    bool passed(std::uint64_t token) noexcept { return rte_rcu_qsbr_check(state_, token, false) == 1; }

private:
    rte_rcu_qsbr* state_ = nullptr;
};

/// Frees what readers may still see, later. Never blocks.
/// Thread: control.
class Reclaimer {
public:
    explicit Reclaimer(QuiescentState& state) noexcept : state_{state} {}
    Reclaimer(const Reclaimer&) = delete;
    Reclaimer& operator=(const Reclaimer&) = delete;

    /// Runs what is left; workers must be gone.
    ~Reclaimer() {
        for (auto& item : retired_) item.action();
    }

    /// `action` runs once every worker has left what was reachable before this call.
    void retire(std::function<void()> action) {
        retired_.push_back({state_.token(), std::move(action)});
    }

    template <class T>
    void retire(std::unique_ptr<const T> node) {
        if (node) retire([raw = std::shared_ptr<const T>{std::move(node)}] {});
    }

    /// Frees what every worker has left. Call from a timer.
    void collect() {
        while (!retired_.empty() && state_.passed(retired_.front().token)) {
            auto item = std::move(retired_.front());
            retired_.pop_front();
            item.action();
        }
    }

    std::size_t pending() const noexcept { return retired_.size(); }

private:
    struct Retired {
        std::uint64_t token;
        std::function<void()> action;
    };

    QuiescentState& state_;
    std::deque<Retired> retired_;
};

/// One published node.
/// Thread: publish control; current any registered worker.
template <class T>
class Published {
public:
    Published() = default;
    Published(const Published&) = delete;
    Published& operator=(const Published&) = delete;

    ~Published() { delete node_.load(std::memory_order_relaxed); }

    /// Valid until the calling worker next reports quiescence; null before the first publish.
    const T* current() const noexcept { return node_.load(std::memory_order_acquire); }

    void publish(std::unique_ptr<const T> next, Reclaimer& reclaimer) {
        const T* old = node_.exchange(next.release(), std::memory_order_acq_rel);
        reclaimer.retire(std::unique_ptr<const T>{old});
    }

private:
    std::atomic<const T*> node_{nullptr};
};

}  // namespace nlvs::forwarding
