#pragma once

#include "daemon/neighbour_publisher.hpp"
#include "forwarding/config/configuration.hpp"
#include "kni/kernel_state.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace nlvs::daemon {

/// The engine can send through the device and receive from it.
bool is_followed_tunnel(const kni::Link& link) noexcept;

/// The device takes packets of the family.
bool takes(const kni::TunnelDevice& tunnel, net::Family family) noexcept;

/// Tells workers about the kernel's tunnel devices: what goes around a packet that a route sends
/// through one and to whom it goes then (TunnelWay, in the adjacency of the device), and which
/// packets come out of one (TunnelIngress).
///
/// Such a device has one neighbour for each family, whose address is "any": whatever goes through
/// it has the same remote end.
/// Thread: control.
class TunnelPublisher {
public:
    TunnelPublisher(
        forwarding::Configuration& configuration, forwarding::Reclaimer& reclaimer,
        NeighbourPublisher& neighbours, const ShadowPorts& ports, const kni::KernelState& state
    )
        : configuration_{configuration},
          reclaimer_{reclaimer},
          neighbours_{neighbours},
          ports_{ports},
          state_{state} {}

    /// After a change of links, addresses, rules, or of a route that concerns().
    void refresh();

    bool any() const noexcept { return !remotes_.empty(); }

    /// Some tunnel's other end is in the prefix.
    bool concerns(const net::Prefix& prefix) const noexcept;

private:
    /// What a device is published as.
    struct Way {
        kni::NeighbourKey next;
        forwarding::TunnelHeader header;

        friend bool operator==(const Way&, const Way&) = default;
    };

    struct KeyOrder {
        bool operator()(
            const forwarding::TunnelKey& a, const forwarding::TunnelKey& b
        ) const noexcept;
    };

    struct Receiver {
        std::uint32_t interface = 0;
        std::uint32_t input = 0;
        std::uint32_t vrf_table = 0;

        friend bool operator==(const Receiver&, const Receiver&) = default;
    };

    using Receivers = std::map<forwarding::TunnelKey, Receiver, KeyOrder>;

    std::optional<Way> find_way(const kni::Link& link) const;
    void publish_way(std::uint32_t interface, const std::optional<Way>& way);
    void publish_receivers(Receivers receivers);
    Receiver receiver(const kni::Link& link) const;

    forwarding::Configuration& configuration_;
    forwarding::Reclaimer& reclaimer_;
    NeighbourPublisher& neighbours_;
    const ShadowPorts& ports_;
    const kni::KernelState& state_;
    std::map<std::uint32_t, Way> ways_;  ///< by ifindex of the device
    std::vector<net::IpAddress> remotes_;
    Receivers receivers_;
};

}  // namespace nlvs::daemon
