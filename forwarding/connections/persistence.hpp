#pragma once

#include "compat/ipvs/connection.hpp"
#include "compat/ipvs/settings.hpp"
#include "forwarding/config/destination.hpp"
#include "forwarding/config/service.hpp"
#include "forwarding/connections/connection.hpp"
#include "forwarding/connections/expiry_wheel.hpp"
#include "forwarding/connections/reserved_region.hpp"
#include "forwarding/connections/spin_lock.hpp"
#include "forwarding/identifiers.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

namespace nlvs::forwarding {

/// What makes a client the same client. A template for a firewall-mark service has protocol 0
/// and the mark in the first four bytes of the virtual address.
struct TemplateKey {
    std::uint8_t protocol = 0;
    net::IpAddress client;  ///< masked
    net::IpAddress virtual_address;
    net::Port virtual_port;
    /// What a persistence engine read from the packet: counts besides everything else.
    std::string_view engine;
    std::string_view engine_data;
};

/// Linux: ip_vs_core.c ip_vs_sched_persist, first half. `port` is where the packet went.
TemplateKey template_key(
    const Service& service,
    std::uint8_t protocol,
    const net::IpAddress& client,
    const net::IpAddress& virtual_address,
    net::Port port
) noexcept;

/// The port that a new template of `service` notes for its destination; 0 lets each connection
/// keep its own.
net::Port template_destination_port(
    const Service& service, net::Port packet_port, net::Port destination_port
) noexcept;

/// Where a connection through a template goes.
net::Port persistent_destination_port(
    const Service& service, net::Port packet_port, net::Port destination_port
) noexcept;

/// Remembers which destination a client of a persistent service has been sent to ("persistence
/// template"), and how many connections rely on that (n_control).
///
/// Crossing: all workers and control share this table, because a client's connections may be
/// owned by different workers. It is touched when a connection opens, becomes established or
/// closes, never per packet.
///
/// Theory of operation. Node i belongs to shard i mod 64 for good, and so does every key by its
/// hash; a shard is a lock, hash chains, a free list and an expiry wheel. The lock is held for
/// one look-up and a few writes. Memory is reserved address space filled by control ahead of
/// need, so that no worker waits for the kernel while it holds a lock.
/// A template lives `timeout` after the last connection was opened through it. When its timer
/// fires while it controls connections, the timeout becomes 60 s for the rest of its life
/// (Linux: ip_vs_conn_expire); so a TemplateId stays good for as long as a connection counts in
/// it.
///
/// Memory order: everything in a node is read and written under its shard's lock, whose unlock
/// releases to the next holder; except state_, which goes from NONE to ASSURED once, relaxed,
/// because nobody derives anything else from it. The counters in DestinationSlot::totals are
/// relaxed as documented there.
///
/// Thread: any, except expire, drop_idle, reserve and visit (control).
class PersistenceTable {
public:
    /// A template's answer, with one more connection counted in it.
    struct Template {
        TemplateId id;
        DestinationId destination;
        net::Port destination_port;  ///< as template_destination_port
    };

    /// What a new template is to say.
    struct Proposal {
        DestinationId destination;
        net::Port destination_port;
        Ticks timeout = 0;
        bool one_packet = false;  ///< of a service with one-packet scheduling
    };

    /// Why a connection leaves its template. Linux: ip_vs_conn_expire — only a connection that is
    /// thrown out (drop_entry, flush) takes an idle template that is not ASSURED with it.
    enum class Release { expired, dropped };

    static constexpr std::uint32_t default_maximum = 1U << 20;

    /// Throws std::bad_alloc. About `maximum` templates, spread evenly over the shards.
    PersistenceTable(
        DestinationTable& destinations,
        std::uint64_t seed,
        Ticks now,
        std::uint32_t maximum = default_maximum
    );
    PersistenceTable(const PersistenceTable&) = delete;
    PersistenceTable& operator=(const PersistenceTable&) = delete;
    ~PersistenceTable();

    /// The template of `key`; its timer starts anew. `valid(DestinationId)` tells whether it may
    /// still be used: if not, the template is set aside (Linux: ip_vs_check_template: no key
    /// matches it again, it is listed until its own timer ends) and the answer is none.
    template <class Valid>
    std::optional<Template> acquire(const TemplateKey& key, Ticks now, Valid&& valid) noexcept {
        const std::uint64_t hash = hash_of(key);
        const std::scoped_lock guard{shards_[shard_of_hash(hash)]->lock};
        const std::uint32_t index = find(key, hash);
        if (index == 0) return std::nullopt;
        if (!valid(nodes_[index].destination)) {
            set_aside(index);
            return std::nullopt;
        }
        return control(index, now);
    }

    /// Makes the template of `key`. If another worker was faster, its template is the answer
    /// and must be used. None when the table is full or the engine data are too long.
    std::optional<Template> create(
        const TemplateKey& key, const Proposal& proposal, Ticks now
    ) noexcept;

    /// A connection of this template has been established (TCP, SCTP) or answered (UDP).
    void assure(TemplateId id) noexcept {
        auto& state = nodes_[id.value].state;
        if (state.load(std::memory_order_relaxed) != assured) {
            state.store(assured, std::memory_order_relaxed);
        }
    }

    /// A packet of one of its connections has passed: is the sync backup to be told of it? Once a
    /// second at most. Call with a connection counted in it.
    /// Linux: ip_vs_sync.c ip_vs_sync_conn_needed.
    bool is_due(TemplateId id, const ipvs::Sysctls& sysctls, Ticks now) noexcept;

    /// A template as the sync protocol tells it.
    struct Synced {
        ipvs::ConnectionView view;  ///< `expires` is not set
        DestinationId destination;
        Ticks timeout = 0;
        bool one_packet = false;
    };

    /// The template that has the number now, if any. Thread: control.
    std::optional<Synced> synced(TemplateId id);

    /// Makes the template of another director, or makes the one that is here live on with its
    /// state and timeout: it keeps its destination, unless that is an unbound one. False when the
    /// table is full. Linux: ip_vs_sync.c ip_vs_proc_conn.
    bool take(const TemplateKey& key, const Proposal& proposal, std::uint8_t state, Ticks now);

    /// The counterpart of acquire or create.
    void release(TemplateId id, Release why = Release::expired) noexcept;

    /// Removes templates whose time is over, at most `limit` looked at; kept(TemplateId) is called
    /// for each that lives on for its connections. Call at least once per second.
    template <class Kept>
    void expire(Ticks now, std::uint32_t limit, Kept&& kept) {
        for (std::uint32_t shards = 0; shards < shard_count && limit > 0; ++shards) {
            for (std::uint32_t batch = per_lock; batch == per_lock && limit > 0;) {
                KeptTemplates several;
                const std::uint32_t share = std::min(per_lock, limit);
                batch = expire_shard(next_to_expire_, now, share, several);
                limit -= batch;
                for (std::uint32_t i = 0; i < several.count; ++i) kept(several.ids[i]);
            }
            next_to_expire_ = (next_to_expire_ + 1) % shard_count;
        }
    }

    void expire(Ticks now, std::uint32_t limit) noexcept {
        expire(now, limit, [](TemplateId) {});
    }

    /// Throws out idle templates that are not assured, of one share in `shares`; those of
    /// one-packet services, which nothing but their packets assures, stay.
    /// Linux: ip_vs_conn.c ip_vs_random_dropentry.
    void drop_idle(std::uint32_t shares) noexcept;

    /// Commits memory for `ahead` more templates.
    void reserve(std::uint32_t ahead) noexcept;

    /// Shows up to `limit` slots from cursor `from` (start with 0) to
    /// `visitor(const ipvs::ConnectionView&)`, outside all locks; returns the cursor to continue
    /// with, `end` after the last.
    template <class Visitor>
    std::uint32_t visit(std::uint32_t from, std::uint32_t limit, Ticks now, Visitor&& visitor) {
        const auto committed = static_cast<std::uint32_t>(region_.committed() / sizeof(Node));
        const std::uint32_t highest = highest_.load(std::memory_order_relaxed);
        const std::uint32_t stop = committed == 0 ? 0 : std::min(highest + 1, committed);
        for (; from < stop && limit > 0; ++from, --limit) {
            if (const auto seen = view(from, now)) visitor(*seen);
        }
        return from < stop ? from : end;
    }

    static constexpr std::uint32_t end = ~0U;

    std::uint32_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

    std::size_t memory() const noexcept { return region_.committed() + heads_size(); }

private:
    static constexpr std::uint32_t shard_count = 64;
    static constexpr std::uint8_t assured = 1;
    static constexpr std::uint32_t per_lock = 8;
    static constexpr Ticks controlled_timeout = 60 * ticks_per_second;
    /// A template set aside shows this port. Linux: ip_vs_check_template.
    static constexpr std::uint16_t aside_port = 65535;

    /// Linux: struct ip_vs_conn pe_data, at most 255 bytes.
    struct EngineData {
        std::array<char, 16> name;
        std::array<char, 255> data;
        std::uint8_t name_length;
        std::uint8_t data_length;
    };

    struct alignas(64) Node {
        // Owned by ExpiryWheel.
        Ticks last_seen;
        Ticks timeout;
        Ticks timer_due;
        std::uint32_t timer_next;
        std::uint32_t timer_previous;
        // ---
        std::uint32_t next;  ///< of the hash chain, or the free list
        std::uint32_t hash;
        std::uint32_t controlled;
        DestinationId destination;
        net::Port destination_port;
        net::Port virtual_port;
        std::atomic<std::uint8_t> state;
        std::uint8_t protocol;
        bool aside;
        bool one_packet;
        net::IpAddress client;
        net::IpAddress virtual_address;
        EngineData* engine;
        // Of the sync protocol. Relaxed: who wins an exchange announces, and nothing else follows.
        std::atomic<std::uint32_t> sync_end;      ///< SyncEnd
        std::atomic<std::uint32_t> sync_packets;  ///< of its connections, up to sync_threshold
        std::atomic<Ticks> announced;             ///< tick of the last time
        bool synced;                              ///< another director's
    };

    /// Templates whose timer has fired in vain, of one hold of a lock.
    struct KeptTemplates {
        std::array<TemplateId, per_lock> ids;
        std::uint32_t count = 0;
    };

    static_assert(sizeof(Node) == 128);

    /// Lets the wheel of a shard address nodes by their global index.
    struct NodePool {
        using value_type = Node;

        Node* nodes;

        Node& operator[](std::uint32_t index) const noexcept { return nodes[index]; }

        std::uint32_t index_of(const Node* node) const noexcept {
            return static_cast<std::uint32_t>(node - nodes);
        }
    };

    struct alignas(64) Shard {
        Shard(Node* nodes, Ticks now) noexcept : pool{nodes}, wheel{pool, now} {}

        SpinLock lock;
        std::uint32_t free = 0;
        std::uint32_t used = 1;  ///< nodes ever handed out, the first of each shard never is
        NodePool pool;
        ExpiryWheel<NodePool> wheel;
    };

    std::uint64_t hash_of(const TemplateKey& key) const noexcept;

    static std::uint32_t shard_of_hash(std::uint64_t hash) noexcept {
        return static_cast<std::uint32_t>(hash >> 32) % shard_count;
    }

    Shard& shard_of_node(std::uint32_t index) noexcept { return *shards_[index % shard_count]; }

    /// First of the hash chain; nodes store the lower half of the hash.
    std::uint32_t& head_of(std::uint32_t shard, std::uint32_t hash) noexcept {
        return heads_.get()[std::size_t{shard} * heads_per_shard_ + hash % heads_per_shard_];
    }

    std::size_t heads_size() const noexcept {
        return std::size_t{shard_count} * heads_per_shard_ * sizeof(std::uint32_t);
    }

    // With the shard's lock held. Index 0: none.
    std::uint32_t find(const TemplateKey& key, std::uint64_t hash) noexcept;
    Template control(std::uint32_t index, Ticks now) noexcept;
    void set_aside(std::uint32_t index) noexcept;
    void unhash(std::uint32_t index) noexcept;
    std::uint32_t take_node(std::uint32_t shard) noexcept;
    void destroy(std::uint32_t index) noexcept;

    /// With the lock of shard `number` held; the counters of its destination include it.
    std::uint32_t insert(
        const TemplateKey& key, const Proposal& proposal, std::uint64_t hash,
        std::unique_ptr<EngineData>& engine, Ticks now
    ) noexcept;
    static bool fits(const TemplateKey& key) noexcept;
    static std::unique_ptr<EngineData> engine_data_of(const TemplateKey& key) noexcept;
    void bind(Node& node, DestinationId destination) noexcept;
    std::uint32_t expire_shard(
        std::uint32_t number, Ticks now, std::uint32_t limit, KeptTemplates& kept
    ) noexcept;
    std::optional<ipvs::ConnectionView> view(std::uint32_t index, Ticks now);
    std::optional<Synced> seen(std::uint32_t index, Ticks now);

    DestinationTable& destinations_;
    std::uint64_t seed_;
    std::uint32_t nodes_per_shard_;
    std::uint32_t heads_per_shard_;
    ReservedRegion region_;
    Node* nodes_;
    std::unique_ptr<std::uint32_t, void (*)(void*)> heads_;  ///< by shard, then hash
    std::array<std::unique_ptr<Shard>, shard_count> shards_;
    std::uint32_t next_to_expire_ = 0;       ///< shard; control's
    std::uint32_t next_to_drop_ = 0;         ///< node; control's
    std::atomic<std::uint32_t> highest_{0};  ///< index ever handed out
    std::atomic<std::uint32_t> size_{0};
};

}  // namespace nlvs::forwarding
