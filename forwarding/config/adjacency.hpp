#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "forwarding/config/slot_array.hpp"
#include "forwarding/identifiers.hpp"

namespace nlvs::forwarding {

/// How to reach one neighbour: a ready layer-2 header. Immutable; one cache line.
/// Thread: immutable.
struct alignas(64) Adjacency {
    static constexpr std::size_t max_l2_length = 32;

    PortIndex port = 0;           ///< egress NIC
    std::uint8_t l2_length = 0;   ///< bytes of `l2` to prepend
    bool stale = false;           ///< the kernel has not heard of the neighbour for a while
    std::uint16_t mtu = 1500;     ///< of the egress interface
    std::uint32_t interface = 0;  ///< kernel ifindex of the shadow side, for statistics and ICMP
    std::array<std::byte, max_l2_length> l2{};
};

static_assert(sizeof(Adjacency) == 64);

/// Slot of one (interface, neighbour address). The node is null while the neighbour is
/// unresolved or failed: the packet then waits in the worker's neighbour queue.
struct AdjacencySlot {
    std::atomic<const Adjacency*> node{nullptr};
};

using AdjacencyTable = SlotArray<AdjacencySlot>;

}  // namespace nlvs::forwarding
