#pragma once

#include <memory>

#include "daemon/shadow_ports.hpp"
#include "forwarding/config/own_addresses.hpp"
#include "kni/kernel_state.hpp"

namespace nlvs::daemon {

/// The host's own addresses on the engine's ports, as sources for its ICMP errors: those with a
/// network, primary before secondary, wide scope before narrow. Addresses without a network,
/// virtual ones as a rule, count only on interfaces that have no other of their family.
/// Linux: devinet.c inet_select_addr, addrconf.c ipv6_dev_get_saddr (shortened).
std::unique_ptr<const forwarding::OwnAddresses> own_addresses(
    const kni::KernelState& state, const ShadowPorts& ports
);

}  // namespace nlvs::daemon
