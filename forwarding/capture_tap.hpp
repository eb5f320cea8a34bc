#pragma once

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

#include "forwarding/identifiers.hpp"
#include "forwarding/statistics/counter.hpp"

namespace nlvs::forwarding {

/// What a capture knows of a copied packet, besides its bytes.
struct CapturedPacket {
    enum class Direction : std::uint8_t { received, sent };

    std::uint64_t tsc = 0;
    std::uint32_t length = 0;    ///< of the packet
    std::uint16_t captured = 0;  ///< bytes of it that were kept
    PortIndex port = 0;
    Direction direction = Direction::received;
};

/// Copies of one worker's packets on their way to `nlvsctl capture`: a ring of slots of fixed size.
/// It belongs to crossing 2: the mailbox brings it to the worker, and takes it away before control
/// frees it.
///
/// Memory order: one producer and one consumer. The worker fills slots and then releases `head_`;
/// control, which acquires it, sees them whole. Control releases `tail_` when it has read slots, and
/// the worker acquires it before it writes them again. `taken_` is the producer's own copy of `head_`.
///
/// Nobody waits: a packet that finds no slot is counted as lost, and forwarded all the same.
///
/// Thread: watches/copy/publish/record worker; the rest control.
class CaptureTap {
public:
    using Direction = CapturedPacket::Direction;

    /// Bit n: port n is watched.
    using Ports = std::uint32_t;
    static_assert(max_ports <= 32);

    static constexpr std::size_t memory = std::size_t{12} << 20;  ///< of all slots, at most

    /// Keeps up to `snap` bytes of each packet. Throws std::bad_alloc.
    CaptureTap(Ports ports, std::uint16_t snap)
        : ports_{ports},
          snap_{snap},
          stride_{(sizeof(CapturedPacket) + snap + 7) / 8 * 8},
          slots_{static_cast<std::uint32_t>(std::bit_floor(memory / stride_))},
          // Written here, so that the worker meets no page that is not there.
          bytes_{std::make_unique<std::byte[]>(stride_ * slots_)} {}

    CaptureTap(const CaptureTap&) = delete;
    CaptureTap& operator=(const CaptureTap&) = delete;

    bool watches(PortIndex port) const noexcept { return (ports_ >> port & 1) != 0; }

    std::uint32_t slots() const noexcept { return slots_; }

    /// Copies packets, from the first on, for which there is room; nobody sees them before publish().
    std::uint32_t copy(
        PortIndex port, Direction direction, rte_mbuf* const* packets, std::uint32_t count
    ) noexcept {
        const std::uint64_t tsc = rte_rdtsc();
        const std::uint32_t room = slots_ - (taken_ - tail_.load(std::memory_order_acquire));
        const std::uint32_t copied = std::min(count, room);
        for (std::uint32_t i = 0; i < copied; ++i) {
            const rte_mbuf& packet = *packets[i];
            std::byte* slot = at(taken_ + i);
            const auto captured =
                static_cast<std::uint16_t>(std::min<std::uint32_t>(packet.pkt_len, snap_));
            const CapturedPacket about{tsc, packet.pkt_len, captured, port, direction};
            std::memcpy(slot, &about, sizeof(about));
            std::byte* to = slot + sizeof(about);
            const void* from = rte_pktmbuf_read(&packet, 0, captured, to);
            if (from != nullptr && from != to) std::memcpy(to, from, captured);
        }
        return copied;
    }

    /// Of the `copied` packets the first `happened`, and of others as many more, really came or went.
    void publish(PortIndex port, std::uint32_t copied, std::uint32_t happened) noexcept {
        const std::uint32_t seen = std::min(copied, happened);
        taken_ += seen;
        head_.store(taken_, std::memory_order_release);
        lost_[port].add(happened - seen);
    }

    void record(
        PortIndex port, Direction direction, rte_mbuf* const* packets, std::uint32_t count
    ) noexcept {
        publish(port, copy(port, direction, packets, count), count);
    }

    /// Packets to be read; they stay until release().
    std::uint32_t pending() const noexcept {
        return head_.load(std::memory_order_acquire) - tail_.load(std::memory_order_relaxed);
    }

    CapturedPacket about(std::uint32_t i) const noexcept {
        CapturedPacket result;
        std::memcpy(&result, at(tail_.load(std::memory_order_relaxed) + i), sizeof(result));
        return result;
    }

    std::span<const std::byte> bytes(std::uint32_t i) const noexcept {
        const std::byte* slot = at(tail_.load(std::memory_order_relaxed) + i);
        return {slot + sizeof(CapturedPacket), about(i).captured};
    }

    void release(std::uint32_t count) noexcept {
        tail_.store(tail_.load(std::memory_order_relaxed) + count, std::memory_order_release);
    }

    std::uint64_t lost(PortIndex port) const noexcept { return lost_[port].read(); }

private:
    std::byte* at(std::uint32_t position) const noexcept {
        return bytes_.get() + std::size_t{position & (slots_ - 1)} * stride_;
    }

    Ports ports_;
    std::uint16_t snap_;
    std::size_t stride_;
    std::uint32_t slots_;  ///< a power of two
    std::unique_ptr<std::byte[]> bytes_;
    alignas(RTE_CACHE_LINE_SIZE) std::atomic<std::uint32_t> head_{0};
    std::uint32_t taken_ = 0;
    std::array<Counter, max_ports> lost_;
    alignas(RTE_CACHE_LINE_SIZE) std::atomic<std::uint32_t> tail_{0};
};

static_assert(sizeof(CapturedPacket) == 16);

}  // namespace nlvs::forwarding
