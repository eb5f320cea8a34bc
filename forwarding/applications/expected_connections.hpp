#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "compat/ipvs/connection.hpp"
#include "forwarding/applications/control_connections.hpp"
#include "forwarding/config/destination.hpp"
#include "forwarding/connections/entry_pool.hpp"
#include "forwarding/connections/spin_lock.hpp"
#include "forwarding/identifiers.hpp"

namespace nlvs::forwarding {

/// A data connection that a control connection has announced and nobody has begun.
struct ExpectedConnection {
    /// Who begins: the client, from a port that it has not said, or the server.
    enum class Opener : std::uint8_t { client, server };

    Opener opener = Opener::client;
    net::IpAddress client;
    net::Port client_port;  ///< 0 when the client begins
    net::IpAddress virtual_address;
    net::Port virtual_port;
    net::IpAddress destination;
    net::Port destination_port;
    DestinationId destination_id;
    ControlIndex control = 0;
    Ticks since = 0;
    Ticks timeout = 0;
};

/// Data connections to come.
///
/// Crossing: who announces one is the owner of the control connection, who meets its first packet
/// the owner of the data connection, which steering chooses by an endpoint that often is not known
/// yet. So that the announcement waits for its packet on every worker, it is put here before the
/// packet leaves that tells the other side, and whoever meets the first packet takes it out. In
/// Linux it is an ordinary entry without client port (IP_VS_CONN_F_NO_CPORT).
///
/// An entry counts as a connection of its destination (inactive) and of its control connection;
/// take() hands both counts to the taker.
///
/// Memory order: entries are read and written under the lock of their stripe; the pool under its
/// own, taken inside. count() is relaxed: it only spares a look, and a worker that reads it late
/// would have met the packet early.
/// Thread: any, except reserve, expire, visit (control).
class ExpectedConnections {
public:
    static constexpr std::uint32_t maximum = (1U << 15) - 1;

    /// Throws std::bad_alloc.
    ExpectedConnections(
        DestinationTable& destinations, ControlConnections& controls, std::uint64_t seed
    );
    ExpectedConnections(const ExpectedConnections&) = delete;
    ExpectedConnections& operator=(const ExpectedConnections&) = delete;

    /// Adds the connection, or gives it its whole time again if it is there. False when full.
    bool expect(const ExpectedConnection& connection) noexcept;

    /// A packet from `source` to `destination` that belongs to no connection: does it begin one
    /// that the client was to begin, or one that the server was?
    std::optional<ExpectedConnection> take(
        const net::IpAddress& source, net::Port source_port, const net::IpAddress& destination,
        net::Port destination_port
    ) noexcept;

    std::uint32_t count() const noexcept { return count_.load(std::memory_order_relaxed); }

    /// Commits memory for `ahead` more.
    void reserve(std::uint32_t ahead) noexcept { pool_.reserve(ahead); }

    /// Ends those that nobody began in time.
    void expire(Ticks now) noexcept;

    /// Ends those whose destination is gone. Linux: ip_vs_conn.c ip_vs_expire_nodest_conn_flush.
    void expire_unavailable() noexcept;

    static constexpr std::uint32_t end = ~0U;

    /// Shows some to `visitor(const ipvs::ConnectionView&)` from cursor `from` (start with 0);
    /// returns the cursor to continue with, `end` after the last.
    template <class Visitor>
    std::uint32_t visit(std::uint32_t from, Ticks now, Visitor&& visitor) {
        if (count() == 0) return end;
        Page page;
        from = read_page(from, page);
        for (std::uint32_t i = 0; i < page.size; ++i) visitor(view_of(page.entries[i], now));
        return from;
    }

private:
    static constexpr std::uint32_t stripe_count = 64;
    static constexpr std::uint32_t heads_per_stripe = 64;
    static constexpr std::uint32_t page_size = 64;

    struct alignas(128) Node {
        ExpectedConnection connection;
        std::uint32_t next = 0;
    };

    static_assert(sizeof(Node) == 128);

    struct alignas(64) Stripe {
        SpinLock lock;
        std::array<std::uint32_t, heads_per_stripe> heads{};
    };

    struct Page {
        std::array<ExpectedConnection, page_size> entries;
        std::uint32_t size = 0;
    };

    /// The two endpoints of a first packet; the opener's port is 0 if it is not known.
    struct Key {
        net::IpAddress client;
        net::Port client_port;
        net::IpAddress peer;
        net::Port peer_port;
    };

    static Key key_of(const ExpectedConnection& connection) noexcept;
    static bool matches(
        const ExpectedConnection& connection, const Key& key, ExpectedConnection::Opener opener
    ) noexcept;
    std::uint64_t hash_of(const Key& key) const noexcept;

    Stripe& stripe_of(std::uint64_t hash) noexcept {
        return (*stripes_)[static_cast<std::uint32_t>(hash >> 32) % stripe_count];
    }

    static std::uint32_t& head_of(Stripe& stripe, std::uint64_t hash) noexcept {
        return stripe.heads[static_cast<std::uint32_t>(hash) % heads_per_stripe];
    }

    std::optional<ExpectedConnection> take(const Key& key, ExpectedConnection::Opener opener) noexcept;
    std::uint32_t allocate() noexcept;
    void free(std::uint32_t index) noexcept;
    /// Removes what `ends(const ExpectedConnection&)` says.
    template <class Ends>
    void remove_if(Ends ends) noexcept;
    std::uint32_t read_page(std::uint32_t from, Page& page) noexcept;
    static ipvs::ConnectionView view_of(const ExpectedConnection& connection, Ticks now);

    DestinationTable& destinations_;
    ControlConnections& controls_;
    std::uint64_t seed_;
    SpinLock pool_lock_;
    EntryPool<Node, &Node::next> pool_;
    std::unique_ptr<std::array<Stripe, stripe_count>> stripes_;
    std::atomic<std::uint32_t> count_{0};
};

}  // namespace nlvs::forwarding
