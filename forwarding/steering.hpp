#pragma once

#include <rte_mbuf.h>
#include <rte_ring.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "compat/net/port.hpp"
#include "forwarding/identifiers.hpp"
#include "forwarding/packet/flow.hpp"
#include "forwarding/toeplitz.hpp"

namespace nlvs::forwarding {

/// Which worker owns a flow: a hash of its initiator-side endpoint, that is the source of a
/// packet towards a service and the destination of a packet from a real server. Both directions
/// of a masqueraded flow therefore meet on one worker whatever the NIC does.
///
/// NICs that hash by one side of a packet alone (ReceiveHash) can put it on that worker's queue: the
/// owner is then whom they choose. Only flows that a worker does not know are asked about, so a NIC
/// that chooses otherwise costs hand-overs, never a flow.
/// Thread: any (pure).
class Steering {
public:
    explicit Steering(std::uint16_t workers) noexcept : workers_{workers} {}

    /// As NICs choose with this redirection table.
    Steering(std::uint16_t workers, const RedirectionTable& table)
        : workers_{workers}, nic_{std::make_shared<const Nic>(Toeplitz{Toeplitz::default_key}, table)} {}

    std::uint16_t workers() const noexcept { return workers_; }

    WorkerId owner(net::Ipv4Address address, net::Port port) const noexcept {
        if (nic_) return nic_->owner(address, port);
        return pick((std::uint64_t{address.wire().wire()} << 16) | port.wire().wire());
    }

    WorkerId owner(const net::Ipv6Address& address, net::Port port) const noexcept {
        if (nic_) return nic_->owner(address, port);
        std::uint64_t words[2];
        static_assert(sizeof(words) == sizeof(address));
        __builtin_memcpy(words, address.bytes().data(), sizeof(words));
        return pick(words[0] * multiplier ^ words[1] ^ (std::uint64_t{port.wire().wire()} << 48));
    }

private:
    struct Nic {
        template <class Address>
        WorkerId owner(const Address& address, net::Port port) const noexcept {
            std::array<std::uint8_t, sizeof(Address) + sizeof(port)> endpoint;
            static_assert(sizeof(port) == 2);
            __builtin_memcpy(endpoint.data(), &address, sizeof(Address));
            __builtin_memcpy(endpoint.data() + sizeof(Address), &port, sizeof(port));
            return table.queue(hash(endpoint));
        }

        Toeplitz hash;
        RedirectionTable table;
    };

    static constexpr std::uint64_t multiplier = 0x9E3779B97F4A7C15ULL;

    WorkerId pick(std::uint64_t value) const noexcept {
        const auto product = static_cast<unsigned __int128>(value ^ (value >> 29)) * multiplier;
        const auto hash = static_cast<std::uint32_t>(
            static_cast<std::uint64_t>(product >> 64) ^ static_cast<std::uint64_t>(product)
        );
        return static_cast<WorkerId>((std::uint64_t{hash} * workers_) >> 32);
    }

    std::uint16_t workers_;
    std::shared_ptr<const Nic> nic_;  ///< null: nobody's choice but ours
};

/// Crossing 4: packets that the NIC delivered to the wrong worker, one multi-producer
/// single-consumer ring per receiving worker.
///
/// Memory order: rte_ring's enqueue releases, its dequeue acquires; the mbuf and its bytes belong
/// to the sender before and to the owner after, never to both.
///
/// A worker about to sleep says so first and looks at its ring again; a giver looks at the flag
/// after its enqueue. With a full fence on both sides at least one sees the other, so no packet
/// waits for a sleeper.
///
/// Thread: give any worker; take, fall_asleep, awake the owner; pending any.
class HandOver {
public:
    static constexpr unsigned packets_waiting = 2048;

    /// Throws std::bad_alloc.
    explicit HandOver(std::uint16_t workers);
    HandOver(const HandOver&) = delete;
    HandOver& operator=(const HandOver&) = delete;
    ~HandOver();

    /// How many of `count` packets the owner's ring took, from the front.
    unsigned give(WorkerId owner, rte_mbuf** packets, unsigned count) noexcept {
        const unsigned taken = rte_ring_mp_enqueue_burst(
            rings_[owner].get(), reinterpret_cast<void**>(packets), count, nullptr
        );
        std::atomic_thread_fence(std::memory_order_seq_cst);
        if (asleep_[owner].load(std::memory_order_relaxed)) wake(owner);
        return taken;
    }

    /// Announces sleep; true if the ring is empty, so that sleeping is right.
    bool fall_asleep(WorkerId owner) noexcept {
        asleep_[owner].store(true, std::memory_order_relaxed);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        return !pending(owner);
    }

    /// Ends the announced sleep and silences the doorbell.
    void awake(WorkerId owner) noexcept;

    /// The eventfd that ends the owner's sleep.
    int doorbell(WorkerId owner) const noexcept { return doorbells_[owner]; }

    /// Rings the owner's doorbell. Thread: any.
    void wake(WorkerId owner) noexcept;

    unsigned take(WorkerId owner, rte_mbuf** packets, unsigned count) noexcept {
        return rte_ring_sc_dequeue_burst(
            rings_[owner].get(), reinterpret_cast<void**>(packets), count, nullptr
        );
    }

    bool pending(WorkerId owner) const noexcept { return rte_ring_empty(rings_[owner].get()) == 0; }

private:
    struct Free {
        void operator()(rte_ring* ring) const noexcept;
    };

    std::vector<std::unique_ptr<rte_ring, Free>> rings_;
    std::vector<int> doorbells_;
    std::array<std::atomic<bool>, max_workers> asleep_{};
};

}  // namespace nlvs::forwarding
