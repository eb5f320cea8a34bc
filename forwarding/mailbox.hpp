#pragma once

#include <rte_ring.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "compat/ipvs/connection.hpp"
#include "compat/net/ip_address.hpp"
#include "forwarding/identifiers.hpp"

namespace nlvs::forwarding {

/// A request that control puts to one worker; the worker fills in the answer and sends the same
/// object back. Control owns it before the post and after the answer, the worker in between.
struct WorkerRequest {
    enum class Kind : std::uint8_t {
        list_connections,          ///< fills `connections` from `cursor`, at most `limit`
        expire_unavailable,        ///< drop connections of unavailable destinations
        count_connections,
    };

    Kind kind = Kind::list_connections;
    std::uint64_t cursor = 0;  ///< in: where to continue; out: where to go on, `end` when done
    std::uint32_t limit = 0;
    std::vector<ipvs::ConnectionView> connections;  ///< capacity reserved by control
    std::uint64_t count = 0;
    static constexpr std::uint64_t end = ~std::uint64_t{0};
};

/// A worker asks control to have the kernel resolve a neighbour.
struct NeighbourWanted {
    std::uint32_t interface = 0;
    net::IpAddress address;
};

/// Crossing 2: control ↔ one worker, two single-producer single-consumer rings of pointers.
///
/// Memory order: rte_ring's enqueue releases and its dequeue acquires, so whoever dequeues a
/// request sees everything its sender wrote.
///
/// Thread: post/collect control; receive/answer worker.
class Mailbox {
public:
    /// Throws std::runtime_error when the ring cannot be made.
    explicit Mailbox(WorkerId worker);
    Mailbox(const Mailbox&) = delete;
    Mailbox& operator=(const Mailbox&) = delete;
    ~Mailbox();

    /// False if the worker has too many requests waiting; the request stays with the caller.
    bool post(WorkerRequest* request) noexcept { return rte_ring_sp_enqueue(requests_, request) == 0; }

    /// Next answered request, or null.
    WorkerRequest* collect() noexcept { return take(answers_); }

    /// Next request for the worker, or null.
    WorkerRequest* receive() noexcept { return take(requests_); }

    void answer(WorkerRequest* request) noexcept { rte_ring_sp_enqueue(answers_, request); }

    /// True if a request waits; for the sleeping worker.
    bool pending() const noexcept { return rte_ring_empty(requests_) == 0; }

private:
    static WorkerRequest* take(rte_ring* ring) noexcept {
        void* item = nullptr;
        return rte_ring_sc_dequeue(ring, &item) == 0 ? static_cast<WorkerRequest*>(item) : nullptr;
    }

    rte_ring* requests_ = nullptr;
    rte_ring* answers_ = nullptr;
};

}  // namespace nlvs::forwarding
