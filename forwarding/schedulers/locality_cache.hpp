#pragma once

#include "compat/net/ip_address.hpp"
#include "forwarding/identifiers.hpp"

#include <array>
#include <cstdint>
#include <memory>

namespace nlvs::forwarding {

/// Which destinations serve an address; one cache line. lblc uses the first member only.
struct alignas(64) LocalityEntry {
    static constexpr std::size_t max_members = 8;

    net::Ipv6Address
        address;  ///< a v4 address fills the first four bytes; the family is the service's
    Ticks last_used = 0;
    Ticks last_modified = 0;
    std::uint32_t size = 0;                            ///< 0: the entry is free
    std::array<DestinationId, max_members> members{};  ///< newest first

    /// Puts `id` in front; a full set loses its oldest member.
    void insert(DestinationId id, Ticks now) noexcept;
    void remove(DestinationId id, Ticks now) noexcept;
};

static_assert(sizeof(LocalityEntry) == 64);

/// Address → destinations for lblc and lblcr: buckets of four, doubled while a full bucket holds
/// nothing stale, up to the 16384 entries the kernel aims at; from there the least recently used
/// of the bucket gives way. Stale entries are reused in place, so there is no timer. Without
/// memory it just stops growing.
///
/// Each worker has its own: an address reached through several workers may be learnt once per
/// worker, where the kernel learns it once.
/// Thread: the owning worker.
class LocalityCache {
public:
    static constexpr std::uint32_t max_entries = 16384;

    /// Refreshes last_used. Null if unknown or idle for longer than `expiration`.
    LocalityEntry* find(const net::IpAddress& address, Ticks now, Ticks expiration) noexcept;
    /// A fresh entry for an address that find does not know; null without memory.
    LocalityEntry* insert(const net::IpAddress& address, Ticks now, Ticks expiration) noexcept;

    std::uint32_t capacity() const noexcept { return buckets_ * ways; }

private:
    static constexpr std::uint32_t ways = 4;
    static constexpr std::uint32_t initial_buckets = 16;

    LocalityEntry* bucket(const net::Ipv6Address& address) const noexcept;
    bool grow() noexcept;

    std::unique_ptr<LocalityEntry[]> entries_;
    std::uint32_t buckets_ = 0;
};

}  // namespace nlvs::forwarding
