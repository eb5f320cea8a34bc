#pragma once

#include "compat/ipvs/destination.hpp"
#include "forwarding/identifiers.hpp"
#include "forwarding/packet/flow.hpp"

#include <cstddef>
#include <cstdint>

namespace nlvs::forwarding {

using ipvs::ForwardingMethod;

/// Index of an entry in its ConnectionTable.
using ConnectionIndex = std::uint32_t;
inline constexpr ConnectionIndex no_connection = ~0U;

/// A template in the PersistenceTable.
using TemplateId = Identifier<struct TemplateTag>;

/// Linux: IP_VS_CONN_F_*, the bits that matter here, with the kernel's values (they travel in
/// the sync protocol).
struct ConnectionFlags {
    static constexpr std::uint16_t forwarding_mask = 0x0007;
    static constexpr std::uint16_t synced = 0x0020;
    static constexpr std::uint16_t no_output = 0x0080;  ///< no reply seen (non-NAT)
    static constexpr std::uint16_t inactive = 0x0100;
    static constexpr std::uint16_t no_client_port = 0x0800;
    static constexpr std::uint16_t one_packet = 0x2000;
    /// Not Linux's: a helper looks at every packet (FTP control connections).
    static constexpr std::uint16_t application = 0x8000;
};

/// One connection, both directions. For V4 exactly one cache line, the only one that an
/// established packet writes; for V6 two. Everything the timers need is inside.
/// The timer_ members belong to ExpiryWheel and, while the entry is free, to EntryPool.
/// Thread: its worker.
template <class FamilyTag>
struct alignas(64) Connection {
    using Address = typename FamilyTag::Address;

    Address client;
    Address virtual_address;
    Address destination;  ///< of the client's family; the slot has it when families differ
    net::Port client_port;
    net::Port virtual_port;
    net::Port destination_port;
    std::uint8_t protocol = 0;
    std::uint8_t state = 0;              ///< TcpState or SCTP state
    std::uint16_t flags = 0;             ///< ConnectionFlags
    std::uint16_t reply_generation = 0;  ///< low half of Configuration::routing_generation
    DestinationId destination_id;        ///< or bypass_destination
    AdjacencyId reply_adjacency;         ///< cached next hop towards the client
    Ticks last_seen = 0;
    Ticks timeout = 0;
    Ticks timer_due = 0;  ///< tick for which the wheel has it linked
    ConnectionIndex timer_next = 0;
    ConnectionIndex timer_previous = 0;
    std::uint32_t announced_state : 4 = 0;  ///< `state` when the sync backup last heard of it
    std::uint32_t in_packets : 28 = 0;
    std::uint32_t persistence_template = TemplateId::none().value;
    std::uint32_t control = 0;  ///< ControlIndex: FTP's, of a control connection or its data

    ForwardingMethod method() const noexcept {
        return static_cast<ForwardingMethod>(flags & ConnectionFlags::forwarding_mask);
    }

    bool has(std::uint16_t flag) const noexcept { return (flags & flag) != 0; }

    /// Ticks until it expires if nothing more happens; 0 when overdue.
    Ticks remaining(Ticks now) const noexcept {
        const Ticks idle = now - last_seen;
        return idle >= timeout ? 0 : timeout - idle;
    }
};

static_assert(sizeof(Connection<V4>) == 64);
static_assert(sizeof(Connection<V6>) == 128);
// ConnectionTable::has_key walks from one end of the connection to the other.
static_assert(offsetof(Connection<V4>, virtual_address) == 4 && offsetof(Connection<V6>, virtual_address) == 16);
static_assert(offsetof(Connection<V4>, destination) == 8 && offsetof(Connection<V6>, destination) == 32);
static_assert(offsetof(Connection<V4>, client_port) == 12 && offsetof(Connection<V6>, client_port) == 48);
static_assert(offsetof(Connection<V4>, virtual_port) == 14 && offsetof(Connection<V4>, destination_port) == 16);

}  // namespace nlvs::forwarding
