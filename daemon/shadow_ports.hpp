#pragma once

#include "compat/net/mac_address.hpp"
#include "forwarding/identifiers.hpp"
#include "kni/kernel_state.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace nlvs::daemon {

/// How frames enter and leave through one of the kernel's interfaces.
struct Way {
    struct Tag {
        std::uint16_t ether_type = 0;
        std::uint16_t id = 0;

        friend bool operator==(const Tag&, const Tag&) = default;
    };

    static constexpr std::size_t most_tags = 2;

    forwarding::PortIndex port = 0;
    std::uint32_t interface = 0;
    net::MacAddress mac;
    std::uint32_t mtu = 0;
    bool up = false;  ///< and everything below it
    std::uint8_t tag_count = 0;
    std::array<Tag, most_tags> tags{};  ///< outermost first

    friend bool operator==(const Way&, const Way&) = default;
};

/// Which interfaces the engine can receive and send through: the shadow interfaces of its ports,
/// and the VLAN and macvlan devices that iproute2 and keepalived stack on them. A VLAN adds a tag
/// inside those of the devices below; a device of either kind has a MAC address of its own.
/// Anything else (a bridge, a tunnel) the engine leaves to the kernel.
///
/// Nothing is remembered: an answer follows from the links as they are.
/// Thread: control.
class ShadowPorts {
public:
    /// `shadows`: the kernel's index of each port's shadow interface, by PortIndex.
    ShadowPorts(std::vector<std::uint32_t> shadows, const kni::KernelState& state)
        : shadows_{std::move(shadows)}, state_{state} {}

    /// The port whose shadow interface this is.
    std::optional<forwarding::PortIndex> shadow(std::uint32_t interface) const noexcept;

    /// The way through an interface; empty when the engine knows none.
    std::optional<Way> way(std::uint32_t interface) const noexcept;

    /// The engine knows the way, up or not.
    bool has(std::uint32_t interface) const noexcept { return way(interface).has_value(); }

    /// The interface and everything that stands on it, whether it has a way or lost it just now.
    std::vector<std::uint32_t> standing_on(std::uint32_t interface) const;

    std::size_t size() const noexcept { return shadows_.size(); }

private:
    bool stands_on(const kni::Link& upper, std::uint32_t interface) const;

    /// Every interface from the outermost device down to the shadow.
    template <class Visit>
    std::optional<forwarding::PortIndex> descend(std::uint32_t interface, Visit&& visit) const;

    std::vector<std::uint32_t> shadows_;
    const kni::KernelState& state_;
};

}  // namespace nlvs::daemon
