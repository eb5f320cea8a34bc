#pragma once

#include "compat/net/mac_address.hpp"
#include "daemon/shadow_ports.hpp"
#include "forwarding/config/adjacency.hpp"
#include "forwarding/config/routing_table.hpp"
#include "forwarding/identifiers.hpp"
#include "kni/kernel_state.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace nlvs::daemon {

/// The Ethernet header towards a neighbour, tags included. The transmitter writes the EtherType of
/// the packet's family into its last two bytes.
std::unique_ptr<const forwarding::Adjacency> build_adjacency(
    const Way& way, const kni::Neighbour& neighbour
);

/// What the kernel's routes to one prefix, in the mirror's order, mean to a worker as far as they
/// are in `table`; null when they mean nothing.
///
/// A route by type of service is passed over: it is for packets that the engine does not tell
/// apart. Linux: fib_trie.c fib_table_lookup.
std::unique_ptr<const forwarding::Route> build_route(
    const kni::KernelState& state,
    std::span<const kni::Marked<kni::Route>> routes,
    std::uint32_t table,
    const ShadowPorts& ports
);

/// The most specific of the kernel's routes for an address that `wanted` accepts.
template <class Wanted>
const kni::Route* find_route(
    const kni::KernelState& state, const net::IpAddress& address, Wanted&& wanted
) {
    for (unsigned length = address.bits() + 1; length-- > 0;) {
        const auto found = state.routes.find(net::Prefix{address, length});
        if (found == state.routes.end()) continue;
        for (const auto& entry : found->second) {
            if (wanted(entry.value)) return &entry.value;
        }
    }
    return nullptr;
}

/// The address that the kernel would send from through `interface` to `towards`, without a
/// preferred source: one of its own that shares the most leading bits, not a deprecated or
/// secondary one. Linux: devinet.c inet_select_addr, addrconf.c ipv6_dev_get_saddr (shortened).
std::optional<net::IpAddress> source_address(
    const kni::KernelState& state, std::uint32_t interface, const net::IpAddress& towards
);

}  // namespace nlvs::daemon
