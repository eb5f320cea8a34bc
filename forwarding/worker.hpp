#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "forwarding/capture_tap.hpp"
#include "forwarding/config/published.hpp"
#include "forwarding/nic/doorbell.hpp"
#include "forwarding/pipeline.hpp"
#include "forwarding/sync/sync_taker.hpp"

namespace nlvs::forwarding {

/// What a worker polls and feeds: one NIC and its shadow interface, on its own queue of each.
struct WorkerPort {
    PortIndex index = 0;
    std::uint16_t nic = 0;                ///< DPDK port id
    std::optional<std::uint16_t> shadow;  ///< DPDK port id of the kernel's side
};

struct WorkerOptions {
    std::uint32_t maximum_connections = 4'000'000;  ///< of each family, on this worker
    std::uint64_t seed = 0;                         ///< secret of the connection hash
    bool adaptive = true;                           ///< sleep when idle; false: spin
    PuntRates punt_rates;
};

/// One polling thread. See run().
/// Thread: run() is the worker itself; stop() and the accessors any.
class Worker final : public BurstSink {
public:
    /// Throws std::bad_alloc.
    Worker(
        WorkerId id, std::vector<WorkerPort> ports, Shared& shared, QuiescentState& quiescence,
        Doorbell& doorbell, const WorkerOptions& options
    );

    /// Polls until stop().
    void run() noexcept;

    void stop() noexcept {
        stopping_.store(true, std::memory_order_relaxed);
        shared_.hand_over.wake(state_.id);
    }

    WorkerState& state() noexcept { return state_; }

    const WorkerState& state() const noexcept { return state_; }

    std::uint16_t transmit(PortIndex port, rte_mbuf** packets, std::uint16_t count) noexcept override;
    std::uint16_t punt(PortIndex port, rte_mbuf** packets, std::uint16_t count) noexcept override;

private:
    bool poll_ports(Time now) noexcept;
    std::uint16_t transmit_watched(const WorkerPort& to, rte_mbuf** packets, std::uint16_t count) noexcept;
    bool poll_hand_over(Time now) noexcept;
    void serve_mailbox() noexcept;
    void serve(WorkerRequest& request) noexcept;
    void sleep(Time now) noexcept;
    std::chrono::microseconds nap() const noexcept;

    std::vector<WorkerPort> ports_;
    std::array<const WorkerPort*, max_ports> by_index_{};
    Shared& shared_;
    QuiescentState& quiescence_;
    Doorbell& doorbell_;
    bool adaptive_;
    WorkerState state_;
    Pipeline pipeline_;
    SyncTaker sync_taker_;
    CaptureTap* capture_ = nullptr;  ///< while `nlvsctl capture` looks on
    std::atomic<bool> stopping_{false};
};

}  // namespace nlvs::forwarding
