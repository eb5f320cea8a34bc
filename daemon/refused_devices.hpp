#pragma once

#include "daemon/shadow_ports.hpp"
#include "kni/kernel_state.hpp"

#include <string>
#include <vector>

namespace nlvs::daemon {

/// A device on top of, or above, a shadow interface that the engine neither receives nor sends by.
struct RefusedDevice {
    std::string device;
    std::string kind;
    std::string reason;  ///< and what to do instead, for people

    friend auto operator<=>(const RefusedDevice&, const RefusedDevice&) = default;
};

/// In the order of their names. What a device of another kind does (a bridge between containers, a
/// VPN) is no business of the engine's, and no refusal.
std::vector<RefusedDevice> refused_devices(const kni::KernelState& state, const ShadowPorts& ports);

}  // namespace nlvs::daemon
