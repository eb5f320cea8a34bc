#include "tests/benchmarks/rig/generator.hpp"

#include <algorithm>
#include <utility>

#include <rte_cycles.h>
#include <rte_ethdev.h>

namespace nlvs::rig {
namespace {

// Flow numbers of new connections go round: the oldest has long expired or is taken up again.
constexpr std::uint32_t fresh_flows = 1U << 26;
// A TCP connection whose packet was lost is given up: its place is freed when nothing finished.
constexpr double stalled_seconds = 0.2;

}  // namespace

Generator::Generator(std::uint16_t port, const Plan& plan, const Frames& frames)
    : port_{port}, plan_{plan}, frames_{frames} {
    if (plan.traffic == Traffic::established) server_of_.resize(plan.flows);
}

bool Generator::prepare() {
    if (plan_.traffic != Traffic::established) return true;
    sequential_ = true;
    constexpr double seconds_per_flow = 30e-6;
    const double patience = 60 + plan_.flows * seconds_per_flow;
    const std::uint64_t deadline =
        rte_rdtsc() + static_cast<std::uint64_t>(patience * static_cast<double>(rte_get_tsc_hz()));
    const double rate = std::exchange(plan_.rate, 0.0);
    while (established_ < plan_.flows && rte_rdtsc() < deadline) {
        const std::uint64_t now = rte_rdtsc();
        receive(now);
        send(now);
    }
    drain();
    sequential_ = false;
    plan_.rate = rate;
    return established_ == plan_.flows;
}

void Generator::run() {
    const auto hz = static_cast<double>(rte_get_tsc_hz());
    const std::uint64_t begin = rte_rdtsc() + static_cast<std::uint64_t>(plan_.warm_up * hz);
    started_ = rte_rdtsc();
    issued_ = 0;
    while (rte_rdtsc() < begin) {
        const std::uint64_t now = rte_rdtsc();
        receive(now);
        send(now);
    }
    drain();
    counts_ = {};
    latency_ = {};
    started_ = rte_rdtsc();
    issued_ = 0;
    const std::uint64_t end = started_ + static_cast<std::uint64_t>(plan_.seconds * hz);
    std::uint64_t now = started_;
    std::uint64_t progress = now;
    std::uint64_t finished = 0;
    for (; now < end && (plan_.stopped == nullptr || *plan_.stopped == 0); now = rte_rdtsc()) {
        receive(now);
        send(now);
        if (finished != counts_.finished) {
            finished = counts_.finished;
            progress = now;
        } else if (static_cast<double>(now - progress) > stalled_seconds * hz) {
            under_way_ = 0;
            progress = now;
        }
    }
    elapsed_ = static_cast<double>(now - started_) / hz;
    drain();
}

void Generator::drain() noexcept {
    const std::uint64_t quiet = rte_get_tsc_hz() / 5;
    std::uint64_t last = rte_rdtsc();
    for (std::uint64_t now = last; now - last < quiet; now = rte_rdtsc()) {
        const std::uint64_t before = counts_.returned + counts_.wrong;
        receive(now);
        if (counts_.returned + counts_.wrong != before) last = now;
    }
    under_way_ = 0;
}

void Generator::receive(std::uint64_t now) noexcept {
    std::array<rte_mbuf*, burst> packets;
    std::array<rte_mbuf*, burst> answers;
    std::uint16_t answered = 0;
    const std::uint16_t count = rte_eth_rx_burst(port_, 0, packets.data(), burst);
    for (std::uint16_t i = 0; i < count; ++i) {
        const bool ours = frames_.ours(packets[i]);
        const auto arrival = ours ? frames_.verify(packets[i]) : std::nullopt;
        if (ours && !arrival) ++counts_.wrong;
        if (arrival && account(*arrival, now)) {
            frames_.answer(packets[i], *arrival, now);
            answers[answered++] = packets[i];
        } else {
            rte_pktmbuf_free(packets[i]);
        }
    }
    if (answered > 0) transmit(answers.data(), answered);
}

bool Generator::account(const Arrival& arrival, std::uint64_t now) noexcept {
    ++counts_.returned;
    if (plan_.traffic == Traffic::connections) {
        if (arrival.step != Step::last_ack) return true;
        ++counts_.finished;
        if (under_way_ > 0) --under_way_;
        return false;
    }
    latency_.add(now - arrival.sent);
    if (arrival.server == 0) return false;
    if (arrival.flow < server_of_.size()) {
        std::uint8_t& server = server_of_[arrival.flow];
        if (server == 0) {
            server = arrival.server;
            ++established_;
        } else if (server != arrival.server) {
            ++counts_.strayed;
        }
    }
    return plan_.replies;
}

std::uint16_t Generator::allowed(std::uint64_t now) noexcept {
    std::uint64_t count = burst;
    if (plan_.rate > 0) {
        const double due = static_cast<double>(now - started_) /
                           static_cast<double>(rte_get_tsc_hz()) * plan_.rate;
        count = due > static_cast<double>(issued_) ? static_cast<std::uint64_t>(due) - issued_ : 0;
    }
    if (plan_.traffic == Traffic::connections) {
        count = std::min<std::uint64_t>(count, plan_.flows - std::min<std::uint64_t>(under_way_, plan_.flows));
    }
    return static_cast<std::uint16_t>(std::min<std::uint64_t>(count, burst));
}

std::uint32_t Generator::next_flow() noexcept {
    if (plan_.traffic != Traffic::established) return cursor_++ % fresh_flows;
    if (sequential_) {
        // Those that have come back already are left out, so that lost first packets are repeated.
        for (std::uint32_t tried = 0; tried < plan_.flows; ++tried) {
            const std::uint32_t flow = cursor_++ % plan_.flows;
            if (server_of_[flow] == 0) return flow;
        }
        return 0;
    }
    // xorshift64*; Marsaglia.
    random_ ^= random_ >> 12;
    random_ ^= random_ << 25;
    random_ ^= random_ >> 27;
    const auto high = static_cast<std::uint32_t>((random_ * 0x2545F4914F6CDD1D) >> 32);
    return static_cast<std::uint32_t>((static_cast<std::uint64_t>(high) * plan_.flows) >> 32);
}

void Generator::send(std::uint64_t now) noexcept {
    const std::uint16_t count = allowed(now);
    std::array<rte_mbuf*, burst> packets;
    if (count == 0 || rte_pktmbuf_alloc_bulk(pool_.get(), packets.data(), count) != 0) return;
    for (std::uint16_t i = 0; i < count; ++i) frames_.write(packets[i], next_flow(), now);
    issued_ += count;
    under_way_ += plan_.traffic == Traffic::connections ? count : 0;
    transmit(packets.data(), count);
}

void Generator::transmit(rte_mbuf** packets, std::uint16_t count) noexcept {
    const std::uint16_t taken = rte_eth_tx_burst(port_, 0, packets, count);
    counts_.sent += taken;
    for (std::uint16_t i = taken; i < count; ++i) rte_pktmbuf_free(packets[i]);
    if (plan_.traffic == Traffic::connections) under_way_ -= std::min<std::uint64_t>(under_way_, count - taken);
}

}  // namespace nlvs::rig
