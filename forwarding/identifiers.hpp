#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace nlvs::forwarding {

/// A number that means one thing only. Slots are dense (0, 1, 2 …) so that per-worker arrays can
/// be indexed by them.
template <class Tag>
struct Identifier {
    std::uint32_t value = std::numeric_limits<std::uint32_t>::max();

    static constexpr Identifier none() noexcept { return {}; }

    constexpr bool is_none() const noexcept { return *this == none(); }

    friend constexpr auto operator<=>(Identifier, Identifier) = default;
};

/// A service's slot. Reused only after every worker has forgotten the service.
using ServiceId = Identifier<struct ServiceTag>;
/// A destination's slot in DestinationTable. Control reuses it only when no connection and no
/// template refers to it any more, so a connection may hold it without a generation.
using DestinationId = Identifier<struct DestinationTag>;
/// A slot in AdjacencyTable.
using AdjacencyId = Identifier<struct AdjacencyTag>;
/// A slot in the worker list; equals the queue number on every port.
using WorkerId = std::uint16_t;
/// Position of a port in the configuration; a port is a NIC together with its shadow interface.
using PortIndex = std::uint8_t;

inline constexpr std::uint16_t max_workers = 64;
inline constexpr PortIndex max_ports = 16;

/// Ticks of the data path's coarse clock, used for connection life times. 8 ticks a second: the
/// kernel's own listing shows whole seconds.
using Ticks = std::uint32_t;
inline constexpr Ticks ticks_per_second = 8;

/// The worker's notion of now, read once per burst and passed in.
struct Time {
    std::uint64_t tsc = 0;
    Ticks ticks = 0;
};

}  // namespace nlvs::forwarding
