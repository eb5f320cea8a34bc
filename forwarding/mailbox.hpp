#pragma once

#include <rte_ring.h>
#include <rte_ring_elem.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "compat/ipvs/connection.hpp"
#include "compat/net/ip_address.hpp"
#include "forwarding/identifiers.hpp"
#include "forwarding/sync/announcement.hpp"

namespace nlvs::forwarding {

class CaptureTap;

/// A request that control puts to one worker; the worker fills in the answer and sends the same
/// object back. Control owns it before the post and after the answer, the worker in between.
struct WorkerRequest {
    enum class Kind : std::uint8_t {
        list_connections,    ///< fills `connections` from `cursor`, at most `limit`
        expire_unavailable,  ///< drops connections of unavailable destinations
        count_connections,   ///< fills `count` and `memory`
        take_connections,    ///< makes or updates those of `synced`
        capture,             ///< copies packets to `tap` from now on; null: no longer
    };

    Kind kind = Kind::list_connections;
    std::uint64_t cursor = 0;  ///< in: where to continue; out: where to go on, `end` when done
    std::uint32_t limit = 0;   ///< entries at most
    std::vector<ipvs::ConnectionView> connections;  ///< capacity reserved by control
    std::uint64_t count = 0;   ///< live connections
    std::uint64_t memory = 0;  ///< bytes committed for them
    std::vector<SyncedConnection> synced;
    CaptureTap* tap = nullptr;
    static constexpr std::uint64_t end = ~std::uint64_t{0};
};

/// A worker asks control to have the kernel resolve a neighbour.
struct NeighbourWanted {
    std::uint32_t interface = 0;
    net::IpAddress address;
};

/// Crossing 2: control ↔ one worker, four single-producer single-consumer rings: requests to the
/// worker, their answers, and from the worker the neighbours it wants and the connections it
/// announces to the sync backup.
///
/// Memory order: rte_ring's enqueue releases and its dequeue acquires, so whoever dequeues a
/// request, or a copied element, sees everything its sender wrote; a slot is written again only
/// after the consumer has released it by moving its tail on.
///
/// Nobody waits: a worker that finds a ring full goes on, and control comes by its clock.
///
/// Thread: post/collect/wanted/announced control; receive/answer/want/announce/pending worker.
class Mailbox {
public:
    static constexpr unsigned requests_at_once = 64;
    static constexpr unsigned neighbours_at_once = 256;
    /// What a worker announces at a million connections a second between two looks of control.
    static constexpr unsigned announcements_at_once = 16 * 1024;

    /// Throws std::bad_alloc.
    Mailbox();

    /// False if the worker has too many requests waiting; the request stays with the caller.
    bool post(WorkerRequest* request) noexcept {
        return rte_ring_sp_enqueue(requests_.get(), request) == 0;
    }

    /// Next answered request, or null.
    WorkerRequest* collect() noexcept { return take(*answers_); }

    /// Next request for the worker, or null.
    WorkerRequest* receive() noexcept { return take(*requests_); }

    /// Always has room: control never has more than `requests_at_once` requests out.
    void answer(WorkerRequest* request) noexcept { rte_ring_sp_enqueue(answers_.get(), request); }

    /// True if a request waits; asked before the worker goes to sleep.
    bool pending() const noexcept { return rte_ring_empty(requests_.get()) == 0; }

    /// False when control is behind; the worker asks again with the next packet.
    bool want(NeighbourWanted wanted) noexcept {
        return rte_ring_sp_enqueue_elem(wanted_.get(), &wanted, sizeof(wanted)) == 0;
    }

    /// True if `wanted` was filled in.
    bool wanted(NeighbourWanted& wanted) noexcept {
        return rte_ring_sc_dequeue_elem(wanted_.get(), &wanted, sizeof(wanted)) == 0;
    }

    /// False when control is behind.
    bool announce(SyncAnnouncement announcement) noexcept {
        return rte_ring_sp_enqueue_elem(announced_.get(), &announcement, sizeof(announcement)) == 0;
    }

    /// Fills `announcements` from the front; returns how many.
    unsigned announced(std::span<SyncAnnouncement> announcements) noexcept {
        return rte_ring_sc_dequeue_burst_elem(
            announced_.get(), announcements.data(), sizeof(SyncAnnouncement),
            static_cast<unsigned>(announcements.size()), nullptr
        );
    }

private:
    struct Free {
        void operator()(rte_ring* ring) const noexcept;
    };

    using Ring = std::unique_ptr<rte_ring, Free>;

    static Ring make(unsigned element_size, unsigned count);

    static WorkerRequest* take(rte_ring& ring) noexcept {
        void* item = nullptr;
        return rte_ring_sc_dequeue(&ring, &item) == 0 ? static_cast<WorkerRequest*>(item) : nullptr;
    }

    Ring requests_;
    Ring answers_;
    Ring wanted_;
    Ring announced_;
};

static_assert(sizeof(SyncAnnouncement) % 4 == 0);
static_assert(sizeof(NeighbourWanted) % 4 == 0, "rte_ring elements are multiples of four bytes");

}  // namespace nlvs::forwarding
