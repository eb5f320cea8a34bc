#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "forwarding/applications/ftp_text.hpp"
#include "forwarding/applications/sequence_shift.hpp"
#include "forwarding/config/ftp_ports.hpp"
#include "forwarding/connections/entry_pool.hpp"
#include "forwarding/connections/spin_lock.hpp"
#include "forwarding/identifiers.hpp"

namespace nlvs::forwarding {

/// An entry of ControlConnections; 0 is none, so that a fresh connection has none.
using ControlIndex = std::uint32_t;

/// What FTP's helper keeps of a control connection beside the connection itself, which has no
/// room for it: how data connections are made, what rewriting did to its sequence numbers, and
/// how many data connections depend on it (Linux: n_control).
///
/// Memory order: mode and replies belong to the worker that owns the control connection. Only
/// references is shared: whoever drops the last one frees the entry, and acquires what the others
/// released.
struct alignas(64) ControlConnection {
    std::atomic<std::uint32_t> references{0};  ///< the control connection's own and its data's
    std::uint32_t next_free = 0;
    FtpMode mode = FtpMode::unknown;
    std::uint8_t port = 0;  ///< which of FtpPorts
    SequenceShift replies;  ///< of what the server sends

    ControlConnection() = default;

    ControlConnection& operator=(const ControlConnection& other) noexcept {
        references.store(other.references.load(std::memory_order_relaxed), std::memory_order_relaxed);
        next_free = other.next_free;
        mode = other.mode;
        port = other.port;
        replies = other.replies;
        return *this;
    }
};

/// All of them. Touched for the packets of control connections and when data connections open and
/// close.
///
/// Crossing: a data connection may be another worker's than its control connection, and control
/// ends those that were never begun. The free list is under a lock, which is held for a few
/// writes; see ControlConnection for the rest.
/// Thread: any.
class ControlConnections {
public:
    static constexpr std::uint32_t maximum = 1U << 18;

    ControlConnections() : pool_{maximum, ReservedRegion::any_node} {}

    ControlConnections(const ControlConnections&) = delete;
    ControlConnections& operator=(const ControlConnections&) = delete;

    /// An entry with one reference, the control connection's own; 0 when there are too many.
    /// `port`: position of its virtual port in FtpPorts.
    ControlIndex open(std::size_t port) noexcept {
        const std::scoped_lock guard{lock_};
        const ControlIndex index = pool_.allocate();
        if (index == 0) return 0;
        pool_[index].references.store(1, std::memory_order_relaxed);
        pool_[index].port = static_cast<std::uint8_t>(port);
        users_[port].fetch_add(1, std::memory_order_relaxed);
        return index;
    }

    /// One more data connection.
    void acquire(ControlIndex index) noexcept {
        pool_[index].references.fetch_add(1, std::memory_order_relaxed);
    }

    /// The counterpart of open and acquire.
    void release(ControlIndex index) noexcept {
        if (pool_[index].references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        users_[pool_[index].port].fetch_sub(1, std::memory_order_relaxed);
        const std::scoped_lock guard{lock_};
        pool_.release(index);
    }

    /// Does the control connection, which asks for itself, have data connections?
    bool controls_others(ControlIndex index) const noexcept {
        return pool_[index].references.load(std::memory_order_relaxed) > 1;
    }

    ControlConnection& operator[](ControlIndex index) noexcept { return pool_[index]; }

    /// Control connections to the virtual port that live, and such as have gone before their data
    /// connections.
    std::uint32_t users(std::size_t port) const noexcept {
        return users_[port].load(std::memory_order_relaxed);
    }

    /// Commits memory for `ahead` more.
    void reserve(std::uint32_t ahead) noexcept { pool_.reserve(ahead); }

private:
    SpinLock lock_;
    std::array<std::atomic<std::uint32_t>, FtpPorts::most> users_{};
    EntryPool<ControlConnection, &ControlConnection::next_free> pool_;
};

}  // namespace nlvs::forwarding
