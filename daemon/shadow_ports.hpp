#pragma once

#include "compat/net/mac_address.hpp"
#include "forwarding/config/adjacency.hpp"
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

    using Ports = std::vector<forwarding::PortIndex>;

    forwarding::PortIndex port = 0;  ///< by which frames leave
    Ports receivers;                 ///< by which they come in: `port`, or all members of a bond
    Ports senders;                   ///< of a bond, when several take part
    forwarding::Spread spread = forwarding::Spread::none;  ///< over the senders
    std::uint32_t interface = 0;
    net::MacAddress mac;
    std::uint32_t mtu = 0;
    bool up = false;  ///< and everything below it, of a bond some member
    std::uint8_t tag_count = 0;
    std::array<Tag, most_tags> tags{};  ///< outermost first

    friend bool operator==(const Way&, const Way&) = default;
};

/// Which interfaces the engine can receive and send through: the shadow interfaces of its ports,
/// bonds of them, and the VLAN and macvlan devices that iproute2 and keepalived stack on either. A
/// VLAN adds a tag inside those of the devices below; every device has a MAC address of its own.
/// Anything else (a bridge) the engine leaves to the kernel.
///
/// Of a bond, the kernel decides which members send (backup, carrier, LACP); frames count as
/// received on any of them. Members that are no shadow interfaces are the kernel's own. Modes
/// whose members have different addresses (tlb, alb) or send everything twice (broadcast) have no
/// way here.
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

    /// It is a member of a bond with a way, which receives in its stead.
    bool is_member(const kni::Link& link) const noexcept;

    /// The way through an interface; empty when the engine knows none.
    std::optional<Way> way(std::uint32_t interface) const;

    /// The engine knows the way, up or not.
    bool has(std::uint32_t interface) const { return way(interface).has_value(); }

    /// The interface and everything that stands on it, whether it has a way or lost it just now.
    std::vector<std::uint32_t> standing_on(std::uint32_t interface) const;

    std::size_t size() const noexcept { return shadows_.size(); }

private:
    bool stands_on(const kni::Link& upper, std::uint32_t interface) const;

    /// Calls visit(link) for every interface from the outermost device down to the shadow or bond
    /// on which it stands; null if it stands on neither.
    template <class Visit>
    const kni::Link* base_of(std::uint32_t interface, Visit&& visit) const;
    void enter_bond(const kni::Link& bond, Way& way) const;

    std::vector<std::uint32_t> shadows_;
    const kni::KernelState& state_;
};

}  // namespace nlvs::daemon
