#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "forwarding/connections/connection.hpp"
#include "forwarding/identifiers.hpp"
#include "forwarding/packet/flow.hpp"

namespace nlvs::forwarding {

/// What a lookup found.
template <class FamilyTag>
struct Found {
    Connection<FamilyTag>* connection = nullptr;
    ConnectionIndex index = no_connection;
    Direction direction = Direction::request;

    explicit operator bool() const noexcept { return connection != nullptr; }
};

/// All connections of one family on one worker.
///
/// Theory of operation. Entries live in one reserved region of address space (never moved, found
/// by a 32-bit index), committed in 2-MiB steps on huge pages where possible. Two index records
/// lead to each entry, one per direction:
///   request: (client, cport) → (virtual, vport)
///   reply:   (destination, dport) → (client, cport) for masquerade,
///            (virtual, vport) → (client, cport) for every other method (Linux: the out lookup).
/// The index is a linear hash table of 64-byte buckets, seven records each (32-bit hash, entry
/// index with a direction bit) plus an overflow link; it grows one bucket at a time, so that no
/// insertion ever pays for a rehash. The hash is keyed with a secret per-table seed.
/// A burst is looked up in three steps so that cache misses overlap: hash_of + prefetch_bucket,
/// then prefetch_entry, then find.
/// Expiry is a hierarchical timer wheel threaded through the entries; touching a connection only
/// writes last_seen, and the wheel looks again when its slot comes up.
/// Thread: its worker, except reserve() and committed() (control tops up memory ahead of need).
template <class FamilyTag>
class ConnectionTable {
public:
    using Entry = Connection<FamilyTag>;
    using Key = FlowKey<FamilyTag>;

    /// `maximum` entries at most; throws std::bad_alloc if address space cannot be reserved.
    ConnectionTable(std::uint32_t maximum, std::uint64_t seed, Ticks now);
    ConnectionTable(const ConnectionTable&) = delete;
    ConnectionTable& operator=(const ConnectionTable&) = delete;
    ~ConnectionTable();

    std::uint64_t hash_of(const Key& key) const noexcept;
    void prefetch_bucket(std::uint64_t hash) const noexcept;
    /// Prefetches the first entry whose record matches the hash.
    void prefetch_entry(std::uint64_t hash) const noexcept;
    Found<FamilyTag> find(const Key& key, std::uint64_t hash) const noexcept;
    Found<FamilyTag> find(const Key& key) const noexcept { return find(key, hash_of(key)); }

    /// A zeroed entry, not yet findable; null when full. Fill it in, then insert(), or release().
    Entry* allocate() noexcept;
    void release(Entry* entry) noexcept;
    /// Makes both directions findable and arms the timer from last_seen + timeout. The caller
    /// has checked that no connection has the request key.
    void insert(Entry* entry) noexcept;
    /// Unlinks from index and wheel and frees.
    void remove(Entry* entry) noexcept;
    /// After `timeout` changed: relinks only if the connection must now fire earlier.
    void reschedule(Entry* entry) noexcept;

    /// Advances the wheel to `now`; `expired(Entry&)` is called for each overdue entry and
    /// returns true if it may be removed, false to keep it (having set last_seen/timeout anew).
    /// Handles at most `limit` entries; the rest follow on the next call.
    template <class Callback>
    void expire(Ticks now, std::uint32_t limit, Callback&& expired);

    /// Calls visitor(const Entry&) for live entries with index ≥ from, at most `limit` slots
    /// scanned; returns the index to continue with, no_connection at the end.
    template <class Visitor>
    ConnectionIndex visit(ConnectionIndex from, std::uint32_t limit, Visitor&& visitor);

    std::uint32_t size() const noexcept;
    std::size_t memory() const noexcept;  ///< committed bytes, index and entries

    /// Commits memory so that at least `ahead` more entries fit without a system call.
    /// Thread: control (runs beside the worker).
    void reserve(std::uint32_t ahead) noexcept;
};

}  // namespace nlvs::forwarding
