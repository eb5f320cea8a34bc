#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "compat/ipvs/destination.hpp"
#include "compat/net/ip_protocol.hpp"
#include "forwarding/config/adjacency.hpp"
#include "forwarding/config/slot_array.hpp"
#include "forwarding/identifiers.hpp"

namespace nlvs::forwarding {

using ipvs::ForwardingMethod;

/// What workers need of a destination on every packet, and the totals they share when a
/// connection opens, changes activity or closes.
///
/// First cache line: written by control, read by workers. `address`, `port` and `unbound` change
/// only while the slot is unreferenced.
/// Second line: shared atomics, relaxed; only exactness of the sum matters, no ordering.
/// Thread: see each member.
struct alignas(64) DestinationSlot {
    // -- first line
    std::atomic<const AdjacencySlot*> adjacency{nullptr};  ///< null: no route, or local (below)
    std::atomic<const TunnelHeader*> tunnel{nullptr};      ///< set iff method is tunnel
    std::atomic<std::int32_t> weight{0};
    /// Of the route, before tunnel overhead. A worker lowers it when a tunnel packet turned out
    /// too big on its way; `link_mtu`, control's, holds again at `mtu_until`, which is then 0.
    std::atomic<std::uint32_t> route_mtu{1500};
    std::atomic<std::uint32_t> link_mtu{1500};
    std::atomic<Ticks> mtu_until{0};
    std::atomic<bool> available{false};          ///< false while in the trash
    std::atomic<bool> local{false};              ///< the address is one of the host's own
    /// What new connections get; existing ones keep their copy.
    std::atomic<ForwardingMethod> method{ForwardingMethod::direct_route};
    std::atomic<bool> one_packet{false};         ///< new connections of UDP are not remembered
    net::IpAddress address;                      ///< the real server
    net::Port port;
    /// No destination of a service: connections of another director lead here whose destination is
    /// not known. Constant, as the address.
    bool unbound = false;

    /// A new connection or template of the protocol is for one packet, and nobody finds it again.
    /// Linux: ip_vs_conn.c ip_vs_bind_dest, for the destination's flag.
    bool forgets(std::uint8_t protocol) const noexcept {
        return static_cast<net::IpProtocol>(protocol) == net::IpProtocol::udp &&
               one_packet.load(std::memory_order_relaxed);
    }

    void set_link_mtu(std::uint32_t mtu) noexcept;
    /// A packet of `mtu` bytes is what the path takes, say routers on it.
    void learn_mtu(std::uint32_t mtu, Ticks now) noexcept;
    /// Call when mtu_until is set.
    void forget_mtu(Ticks now) noexcept;

    // -- second line
    struct alignas(64) Totals {
        std::atomic<std::uint32_t> connections{0};  ///< bound, active and inactive
        std::atomic<std::uint32_t> active{0};
        std::atomic<std::uint32_t> persistent{0};  ///< templates
        std::atomic<bool> overloaded{false};
        std::atomic<std::uint32_t> upper_threshold{0};
        std::atomic<std::uint32_t> lower_threshold{0};

        /// Counts a new connection; sets or clears the overload flag when the total reaches the
        /// upper threshold. Linux: ip_vs_conn.c ip_vs_bind_dest, spec 3.5.
        void bind() noexcept;
        /// Reverse of bind; `was_active` tells whether the connection counted as active.
        void unbind(bool was_active) noexcept;
        /// After a change of thresholds.
        void reevaluate() noexcept;
    } totals;
};

static_assert(offsetof(DestinationSlot, totals) == 64);
static_assert(sizeof(DestinationSlot) == 128);

using DestinationTable = SlotArray<DestinationSlot>;

/// The slot of connections that have no destination and go where their packets say (sysctl
/// cache_bypass): always available, of no service, and what it counts nobody reads.
inline constexpr DestinationId bypass_destination{DestinationTable::capacity - 1};
/// Makes it usable. Thread: control.
void prepare_bypass(DestinationTable& destinations);

}  // namespace nlvs::forwarding
