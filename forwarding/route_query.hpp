#pragma once

#include "forwarding/config/configuration.hpp"
#include "forwarding/packet_context.hpp"

#include <rte_mbuf.h>

namespace nlvs::forwarding {

/// What rules may look at, besides the destination, of a packet that came in and is still as it
/// came.
template <class F>
void describe_input(
    const Configuration& configuration, const PacketContext& context, RouteQuery& query
) noexcept;

/// The same of a finished packet that the host sends; `l3_offset` is where its IP header is.
void describe_output(const rte_mbuf& packet, std::uint16_t l3_offset, RouteQuery& query) noexcept;

/// The kernel's interface that a packet came in by.
std::uint32_t receiving_interface(
    const Configuration& configuration, const PacketContext& context
) noexcept;

}  // namespace nlvs::forwarding
