#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "forwarding/config/slot_array.hpp"
#include "forwarding/config/tunnel_header.hpp"
#include "forwarding/identifiers.hpp"

namespace nlvs::forwarding {

struct AdjacencySlot;

/// A tunnel device: the outer header, and who gets the packet then.
/// Thread: immutable.
struct TunnelWay {
    TunnelHeader header;
    const AdjacencySlot* slot = nullptr;  ///< of the neighbour that the outer packet goes to
    std::uint32_t interface = 0;          ///< that neighbour's
    net::IpAddress neighbour;
};

/// By what packets spread over the members of a bond. Linux: IFLA_BOND_MODE,
/// IFLA_BOND_XMIT_HASH_POLICY. By layer 2 alone every packet to a neighbour takes the same member,
/// which control picks.
enum class Spread : std::uint8_t {
    none,       ///< there is one way
    addresses,  ///< of the IP header: layer2+3
    flow,       ///< addresses and ports: layer3+4
    turn,       ///< packet by packet: balance-rr
};

/// How to reach one neighbour: a ready layer-2 header. Immutable; one cache line.
/// Thread: immutable.
struct alignas(64) Adjacency {
    static constexpr std::size_t max_l2_length = 24;
    static constexpr std::size_t max_members = 16;

    PortIndex port = 0;           ///< egress NIC
    std::uint8_t l2_length = 0;   ///< bytes of `l2` to prepend
    bool stale = false;           ///< the kernel has not heard of the neighbour for a while
    Spread spread = Spread::none;
    std::uint16_t mtu = 1500;     ///< of the egress interface
    std::uint8_t member_count = 0;  ///< unless `spread` is none
    std::uint32_t interface = 0;  ///< kernel ifindex of the shadow side, for statistics and ICMP
    /// Not null: the packet goes into a tunnel, and there is no layer-2 header here.
    std::unique_ptr<const TunnelWay> tunnel;
    std::array<PortIndex, max_members> members{};  ///< egress NICs of a bond
    std::array<std::byte, max_l2_length> l2{};
};

static_assert(sizeof(Adjacency) == 64);
static_assert(Adjacency::max_members >= max_ports);

/// Slot of one (interface, neighbour address). The node is null while the neighbour is
/// unresolved or failed: the packet then waits in the worker's neighbour queue.
struct AdjacencySlot {
    std::atomic<const Adjacency*> node{nullptr};
};

using AdjacencyTable = SlotArray<AdjacencySlot>;

}  // namespace nlvs::forwarding
