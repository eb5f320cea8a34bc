#include "forwarding/worker.hpp"

#include <rte_ethdev.h>
#include <rte_pause.h>

#include <array>
#include <utility>

#include "forwarding/connections/connection_list.hpp"

namespace nlvs::forwarding {
namespace {

/// Empty polls before an adaptive worker sleeps: long enough that a steady stream of packets,
/// however slow, rarely pays for a sleep.
constexpr unsigned patience = 256;

/// Connections that may expire in one loop: bounds the loop's length.
constexpr std::uint32_t expiry_budget = 64;

}  // namespace

Worker::Worker(
    WorkerId id, std::vector<WorkerPort> ports, Shared& shared, QuiescentState& quiescence,
    Doorbell& doorbell, const WorkerOptions& options
)
    : ports_{std::move(ports)},
      shared_{shared},
      quiescence_{quiescence},
      doorbell_{doorbell},
      adaptive_{options.adaptive},
      state_{id, options.maximum_connections, options.seed, *this},
      pipeline_{shared, state_},
      sync_taker_{shared, state_} {
    state_.policer.configure(options.punt_rates, rte_get_tsc_hz());
    for (const WorkerPort& port : ports_) by_index_[port.index] = &port;
}

void Worker::run() noexcept {
    quiescence_.register_worker(state_.id);
    unsigned empty_polls = 0;
    std::uint64_t loop_start = state_.clock.read().tsc;
    while (!stopping_.load(std::memory_order_relaxed)) {
        const Time now = state_.clock.read();
        bool busy = poll_ports(now);
        busy |= poll_hand_over(now);
        serve_mailbox();
        pipeline_.run_timers(now, expiry_budget);
        state_.output.flush();
        quiescence_.report(state_.id);  // no reference into the configuration survives this line
        const std::uint64_t loop_end = rte_rdtsc();
        (busy ? state_.counters.busy_cycles : state_.counters.idle_cycles).add(loop_end - loop_start);
        loop_start = loop_end;
        empty_polls = busy ? 0 : empty_polls + 1;
        if (adaptive_ && empty_polls >= patience) {
            sleep(now);
            empty_polls = 0;
            loop_start = rte_rdtsc();
        }
    }
    quiescence_.unregister_worker(state_.id);
}

bool Worker::poll_ports(Time now) noexcept {
    std::array<rte_mbuf*, Pipeline::burst_size> packets;
    bool busy = false;
    for (const WorkerPort& port : ports_) {
        const std::uint16_t received =
            rte_eth_rx_burst(port.nic, state_.id, packets.data(), Pipeline::burst_size);
        if (received != 0) {
            if (capture_ != nullptr && capture_->watches(port.index)) [[unlikely]] {
                capture_->record(
                    port.index, CapturedPacket::Direction::received, packets.data(), received
                );
            }
            pipeline_.run(port.index, packets.data(), received, now);
            busy = true;
        }
        if (!port.shadow) continue;
        const std::uint16_t injected =
            rte_eth_rx_burst(*port.shadow, state_.id, packets.data(), Pipeline::burst_size);
        if (injected != 0) {
            pipeline_.run_injected(port.index, packets.data(), injected, now);
            busy = true;
        }
    }
    return busy;
}

bool Worker::poll_hand_over(Time now) noexcept {
    std::array<rte_mbuf*, Pipeline::burst_size> packets;
    const unsigned taken = shared_.hand_over.take(state_.id, packets.data(), Pipeline::burst_size);
    if (taken == 0) return false;
    pipeline_.run_taken_over(packets.data(), taken, now);
    return true;
}

void Worker::serve_mailbox() noexcept {
    while (WorkerRequest* request = state_.mailbox.receive()) {
        serve(*request);
        state_.mailbox.answer(request);
    }
}

void Worker::serve(WorkerRequest& request) noexcept {
    switch (request.kind) {
        case WorkerRequest::Kind::list_connections:
            return list_connections(
                shared_.configuration, state_.connections_v4, state_.connections_v6,
                state_.clock.read().ticks, request
            );
        case WorkerRequest::Kind::expire_unavailable: return pipeline_.expire_unavailable();
        case WorkerRequest::Kind::count_connections:
            request.count = std::uint64_t{state_.connections_v4.size()} + state_.connections_v6.size();
            request.memory = state_.connections_v4.memory() + state_.connections_v6.memory();
            return;
        case WorkerRequest::Kind::take_connections:
            return sync_taker_.take(request, state_.clock.read().ticks);
        case WorkerRequest::Kind::capture: capture_ = request.tap; return;
    }
}

/// Sleeps until a packet arrives, somebody rings, or the next timer is due.
void Worker::sleep(Time now) noexcept {
    doorbell_.arm();
    // What came before the bells were armed does not ring: look once more.
    const bool quiet = shared_.hand_over.fall_asleep(state_.id) && !state_.mailbox.pending() &&
                       !poll_ports(now);
    if (quiet && !stopping_.load(std::memory_order_relaxed)) {
        state_.counters.sleeps.add(1);
        quiescence_.offline(state_.id);
        doorbell_.wait(nap());
        quiescence_.online(state_.id);
    }
    shared_.hand_over.awake(state_.id);
    doorbell_.disarm();
}

std::chrono::microseconds Worker::nap() const noexcept {
    using namespace std::chrono_literals;
    if (!state_.waiting.empty()) return 1ms;
    const bool timers = state_.connections_v4.size() + state_.connections_v6.size() != 0 ||
                        state_.reassembly.datagrams() != 0;
    return timers ? std::chrono::microseconds{1'000'000 / ticks_per_second} : 500'000us;
}

std::uint16_t Worker::transmit(PortIndex port, rte_mbuf** packets, std::uint16_t count) noexcept {
    const WorkerPort* to = by_index_[port];
    if (to == nullptr) return 0;
    if (capture_ != nullptr && capture_->watches(port)) [[unlikely]] {
        return transmit_watched(*to, packets, count);
    }
    return rte_eth_tx_burst(to->nic, state_.id, packets, count);
}

/// The copies are made before, as the driver frees what it takes; only what it took was sent.
std::uint16_t Worker::transmit_watched(
    const WorkerPort& to, rte_mbuf** packets, std::uint16_t count
) noexcept {
    const std::uint32_t copied =
        capture_->copy(to.index, CapturedPacket::Direction::sent, packets, count);
    const std::uint16_t sent = rte_eth_tx_burst(to.nic, state_.id, packets, count);
    capture_->publish(to.index, copied, sent);
    return sent;
}

std::uint16_t Worker::punt(PortIndex port, rte_mbuf** packets, std::uint16_t count) noexcept {
    const WorkerPort* to = by_index_[port];
    if (to == nullptr || !to->shadow) return 0;
    return rte_eth_tx_burst(*to->shadow, state_.id, packets, count);
}

}  // namespace nlvs::forwarding
