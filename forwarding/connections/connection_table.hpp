#pragma once

#include "forwarding/connections/connection.hpp"
#include "forwarding/connections/entry_pool.hpp"
#include "forwarding/connections/expiry_wheel.hpp"
#include "forwarding/connections/flow_hash.hpp"
#include "forwarding/connections/flow_index.hpp"
#include "forwarding/identifiers.hpp"
#include "forwarding/packet/flow.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

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

    static constexpr std::uint32_t maximum_limit = 1U << 30;

    /// `maximum` (cut to maximum_limit) entries at most; throws std::bad_alloc if address space
    /// cannot be reserved. Memory comes from `numa_node` where possible.
    ConnectionTable(
        std::uint32_t maximum,
        std::uint64_t seed,
        Ticks now,
        int numa_node = ReservedRegion::any_node
    );
    ConnectionTable(const ConnectionTable&) = delete;
    ConnectionTable& operator=(const ConnectionTable&) = delete;

    std::uint64_t hash_of(const Key& key) const noexcept { return hash_(key); }

    void prefetch_bucket(std::uint64_t hash) const noexcept { index_.prefetch(short_hash(hash)); }

    /// Prefetches the first entry whose record matches the hash, and returns a hint for find():
    /// that record, which proves nothing by itself.
    FlowReference prefetch_entry(std::uint64_t hash) const noexcept;
    /// `hint` saves the way through the index when it names the entry; any value is right.
    Found<FamilyTag> find(const Key& key, std::uint64_t hash, FlowReference hint) const noexcept;

    Found<FamilyTag> find(const Key& key, std::uint64_t hash) const noexcept {
        return find(key, hash, FlowReference{});
    }

    Found<FamilyTag> find(const Key& key) const noexcept { return find(key, hash_of(key)); }

    /// A fresh entry (ids none, everything else zero), not yet findable; null when full. Fill it
    /// in, then insert(), or release().
    Entry* allocate() noexcept;
    void release(Entry* entry) noexcept;
    /// Makes both directions findable and arms the timer from last_seen + timeout. The caller
    /// has checked that no connection has the request key. Until remove() the members that the
    /// two keys consist of stay as they are.
    void insert(Entry* entry) noexcept;
    /// Unlinks from index and wheel and frees.
    void remove(Entry* entry) noexcept;

    /// After `timeout` changed: relinks only if the connection must now fire earlier.
    void reschedule(Entry* entry) noexcept { wheel_.reschedule(*entry); }

    /// Advances the wheel to `now`; `expired(Entry&)` is called for each overdue entry and
    /// returns true if it may be removed, false to keep it (having set last_seen/timeout anew).
    /// It may insert and remove other entries, but not remove its own.
    /// Handles at most `limit` entries; the rest follow on the next call.
    template <class Callback>
    void expire(Ticks now, std::uint32_t limit, Callback&& expired);

    /// Calls visitor(Entry&) for live entries with index ≥ from, at most `limit` slots scanned;
    /// returns the index to continue with, no_connection at the end. The visitor may remove the
    /// entry it is shown.
    template <class Visitor>
    ConnectionIndex visit(ConnectionIndex from, std::uint32_t limit, Visitor&& visitor);

    ConnectionIndex index_of(const Entry& entry) const noexcept { return entries_.index_of(&entry); }

    std::uint32_t size() const noexcept { return entries_.live(); }

    /// The indices that visit() goes through are below this.
    ConnectionIndex end() const noexcept { return entries_.used(); }

    /// Committed bytes, index and entries. Thread: any.
    std::size_t memory() const noexcept { return entries_.memory() + index_.memory(); }

    /// Commits memory so that at least `ahead` more entries fit without a system call.
    /// Thread: control (runs beside the worker).
    void reserve(std::uint32_t ahead) noexcept {
        entries_.reserve(ahead);
        const std::uint64_t records = std::uint64_t{2} * entries_.live();
        index_.reserve(records, 2 * std::min(ahead, maximum_limit));
    }

    /// For measurements.
    const FlowIndex& index() const noexcept { return index_; }

private:
    using Pool = EntryPool<Entry, &Entry::timer_next>;

    static std::uint32_t short_hash(std::uint64_t hash) noexcept {
        return static_cast<std::uint32_t>(hash);
    }

    /// 0 iff equal.
    template <std::size_t length>
    static std::uint64_t difference(const std::byte* a, const std::byte* b) noexcept {
        if constexpr (length == 16) {
            return difference<8>(a, b) | difference<8>(a + 8, b + 8);
        } else {
            std::uint64_t left = 0;
            std::uint64_t right = 0;
            std::memcpy(&left, a, length);
            std::memcpy(&right, b, length);
            return left ^ right;
        }
    }

    static bool has_key(const Entry& entry, const Key& key, Direction direction) noexcept;
    static Key request_key(const Entry& entry) noexcept;
    static Key reply_key(const Entry& entry) noexcept;

    FlowHash<FamilyTag> hash_;
    Pool entries_;
    FlowIndex index_;
    ExpiryWheel<Pool> wheel_;
    std::uint32_t pending_ = 0;  ///< allocated, not yet inserted
};

template <class FamilyTag>
ConnectionTable<FamilyTag>::ConnectionTable(
    std::uint32_t maximum, std::uint64_t seed, Ticks now, int numa_node
)
    : hash_{seed},
      entries_{std::min(maximum, maximum_limit), numa_node},
      index_{
          std::uint64_t{2} * std::min(maximum, maximum_limit), FlowIndex::step_buckets, numa_node},
      wheel_{entries_, now} {}

/// Without branches: direction and method are a coin toss in real traffic, and a mispredicted
/// branch on a line that is still on its way stops everything behind it. What is compared with
/// what is a matter of addresses: the client's end is the key's source or destination, the far end
/// is the entry's virtual address or, in a masqueraded reply, the destination that follows it.
template <class FamilyTag>
bool ConnectionTable<FamilyTag>::has_key(
    const Entry& entry, const Key& key, Direction direction
) noexcept {
    constexpr std::size_t address = sizeof(typename FamilyTag::Address);
    constexpr std::size_t port = sizeof(net::Port);
    const auto reply = static_cast<std::size_t>(direction);
    const std::size_t server = reply & std::size_t{entry.method() == ForwardingMethod::masquerade};
    const auto* of_key = reinterpret_cast<const std::byte*>(&key);
    const auto* of_entry = reinterpret_cast<const std::byte*>(&entry);
    const std::byte* key_ports = of_key + 2 * address;
    const std::byte* entry_ports = of_entry + 3 * address;
    return (difference<address>(of_key + reply * address, of_entry) |
            difference<address>(of_key + (1 - reply) * address, of_entry + (1 + server) * address) |
            difference<port>(key_ports + reply * port, entry_ports) |
            difference<port>(key_ports + (1 - reply) * port, entry_ports + (1 + server) * port) |
            static_cast<std::uint64_t>(key.protocol ^ entry.protocol)) == 0;
}

template <class FamilyTag>
auto ConnectionTable<FamilyTag>::request_key(const Entry& entry) noexcept -> Key {
    return {
        entry.client, entry.virtual_address, entry.client_port, entry.virtual_port, entry.protocol};
}

// Linux: ip_vs_conn.c ip_vs_conn_out_get — only masquerade answers from the real server.
template <class FamilyTag>
auto ConnectionTable<FamilyTag>::reply_key(const Entry& entry) noexcept -> Key {
    const bool masquerade = entry.method() == ForwardingMethod::masquerade;
    return {
        masquerade ? entry.destination : entry.virtual_address,
        entry.client,
        masquerade ? entry.destination_port : entry.virtual_port,
        entry.client_port,
        entry.protocol};
}

template <class FamilyTag>
FlowReference ConnectionTable<FamilyTag>::prefetch_entry(std::uint64_t hash) const noexcept {
    return index_.prefetch_next(short_hash(hash), [this](FlowReference first) {
        return &entries_[first.index()];
    });
}

/// An entry that left the table since the hint was taken is zero, or another connection's: it has
/// the key only if it is the one that is looked for.
template <class FamilyTag>
[[gnu::always_inline]] inline Found<FamilyTag> ConnectionTable<FamilyTag>::find(
    const Key& key, std::uint64_t hash, FlowReference hint
) const noexcept {
    FlowReference reference = hint;
    if (hint == FlowReference{} || !has_key(entries_[hint.index()], key, hint.direction())) {
        reference = index_.find(short_hash(hash), [this, &key](FlowReference candidate) {
            return has_key(entries_[candidate.index()], key, candidate.direction());
        });
        if (reference == FlowReference{}) return {};
    }
    // The table is const for its structure; entries are the worker's to write.
    Entry* entry = const_cast<Entry*>(&entries_[reference.index()]);
    return {entry, reference.index(), reference.direction()};
}

template <class FamilyTag>
auto ConnectionTable<FamilyTag>::allocate() noexcept -> Entry* {
    if (!index_.can_insert(2 * (pending_ + 1))) return nullptr;
    const ConnectionIndex index = entries_.allocate();
    if (index == 0) return nullptr;
    ++pending_;
    return &entries_[index];
}

template <class FamilyTag>
void ConnectionTable<FamilyTag>::release(Entry* entry) noexcept {
    entries_.release(entries_.index_of(entry));
    --pending_;
}

template <class FamilyTag>
void ConnectionTable<FamilyTag>::insert(Entry* entry) noexcept {
    const ConnectionIndex index = entries_.index_of(entry);
    const std::uint32_t request = short_hash(hash_(request_key(*entry)));
    const std::uint32_t reply = short_hash(hash_(reply_key(*entry)));
    index_.prefetch(reply);
    index_.insert(request, {index, Direction::request});
    index_.insert(reply, {index, Direction::reply});
    index_.grow();
    wheel_.link(*entry);
    --pending_;
}

template <class FamilyTag>
void ConnectionTable<FamilyTag>::remove(Entry* entry) noexcept {
    const ConnectionIndex index = entries_.index_of(entry);
    const std::uint32_t request = short_hash(hash_(request_key(*entry)));
    const std::uint32_t reply = short_hash(hash_(reply_key(*entry)));
    index_.prefetch(reply);
    index_.remove(request, {index, Direction::request});
    index_.remove(reply, {index, Direction::reply});
    wheel_.unlink(*entry);
    entries_.release(index);
}

template <class FamilyTag>
template <class Callback>
void ConnectionTable<FamilyTag>::expire(Ticks now, std::uint32_t limit, Callback&& expired) {
    const auto end = [this, &expired](Entry& entry) {
        if (!expired(entry)) return false;
        remove(&entry);
        return true;
    };
    const auto ahead = [this](const Entry& entry) {
        index_.prefetch(short_hash(hash_(request_key(entry))));
        index_.prefetch(short_hash(hash_(reply_key(entry))));
    };
    wheel_.advance(now, limit, end, ahead);
}

template <class FamilyTag>
template <class Visitor>
ConnectionIndex ConnectionTable<FamilyTag>::visit(
    ConnectionIndex from, std::uint32_t limit, Visitor&& visitor
) {
    const ConnectionIndex end = entries_.used();
    ConnectionIndex index = std::max(from, ConnectionIndex{1});
    for (; index < end && limit > 0; ++index, --limit) {
        Entry& entry = entries_[index];
        if (ExpiryWheel<Pool>::is_linked(entry)) visitor(entry);
    }
    return index < end ? index : no_connection;
}

}  // namespace nlvs::forwarding
