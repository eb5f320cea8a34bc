#pragma once

#include "daemon/adjacency_builder.hpp"
#include "daemon/destination_tracker.hpp"
#include "daemon/ingress_publisher.hpp"
#include "daemon/neighbour_publisher.hpp"
#include "daemon/refused_devices.hpp"
#include "daemon/tunnel_publisher.hpp"
#include "forwarding/config/configuration.hpp"
#include "forwarding/mailbox.hpp"
#include "kni/kernel_mirror.hpp"
#include "kni/neighbour_keeper.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace nlvs::daemon {

/// Makes the mirror of the kernel visible to workers: routes, neighbours, ports, and the way to
/// each destination.
///
/// A change of a route costs O(routes to that prefix), plus a new look at the tracked destinations
/// inside the prefix; a change of a neighbour costs O(1). When a call returns, workers see it.
///
/// Set-up:  KernelMirror mirror; NeighbourKeeper keeper{context};
///          RoutePublisher routes{configuration, reclaimer, keeper, interfaces, mirror.state()};
///          mirror.observe(routes); Monitor{context, mirror}.start(…)
/// Thread: control.
class RoutePublisher final : public DestinationTracker, public kni::MirrorObserver {
public:
    /// `interfaces`: the kernel's index of each port's shadow interface, by PortIndex.
    RoutePublisher(
        forwarding::Configuration& configuration,
        forwarding::Reclaimer& reclaimer,
        kni::NeighbourResolver& resolver,
        std::vector<std::uint32_t> interfaces,
        const kni::KernelState& state
    );
    /// Workers must be gone.
    ~RoutePublisher() override;

    /// Called when a shadow interface's MAC address, MTU, admin state or appetite is another than
    /// before: the NIC should follow.
    using PortChanged = std::function<void(forwarding::PortIndex, const kni::Link&)>;

    void on_port_change(PortChanged changed) { port_changed_ = std::move(changed); }

    void on_addresses_change(IngressPublisher::Changed changed) {
        ingress_.on_change(std::move(changed));
    }

    /// How far packets of no service are routed.
    void route_by(const kni::RouterState& router) { ingress_.route_by(router); }

    /// Called after any change of a link.
    void on_links_change(std::function<void()> changed) { links_changed_ = std::move(changed); }

    /// A worker has packets for a neighbour that is not resolved.
    void want(const forwarding::NeighbourWanted& wanted);

    // DestinationTracker
    void track(
        forwarding::DestinationId id,
        forwarding::DestinationSlot& slot,
        const net::IpAddress& address,
        ipvs::ForwardingMethod method,
        const ipvs::Tunnel& tunnel
    ) override;
    void untrack(forwarding::DestinationId id) override;
    AddressType address_type(const net::IpAddress& address) const override;

    // MirrorObserver
    void link_changed(const kni::Link* before, const kni::Link* after) override;
    void address_changed(const kni::Address& address, bool present) override;
    void neighbour_changed(const kni::Neighbour& neighbour, bool present) override;
    void routes_changed(const net::Prefix& prefix) override;

    void rules_changed(net::Family family) override;

    /// Rules that only the kernel can follow to the letter; nlvsctl tells of them.
    std::size_t foreign_rules() const noexcept;

    /// Devices around the ports' shadow interfaces that the engine does not follow.
    std::vector<RefusedDevice> refused() const { return refused_devices(state_, ports_); }


    std::size_t tracked() const noexcept { return tracked_.size(); }

    /// Bytes of the tables that workers read.
    std::size_t memory() const noexcept {
        return configuration_.routes_v4.memory() + configuration_.routes_v6.memory();
    }

private:
    struct Tracked {
        forwarding::DestinationSlot* slot = nullptr;
        net::IpAddress address;
        bool tunnels = false;  ///< or did: connections keep the method they began with
        ipvs::Tunnel tunnel;
        std::optional<kni::NeighbourKey> pinned;
    };

    struct KeyOrder {
        bool operator()(const kni::NeighbourKey& a, const kni::NeighbourKey& b) const noexcept {
            return a.interface != b.interface ? a.interface < b.interface : a.address < b.address;
        }
    };

    struct VectorOrder {
        bool operator()(
            const std::vector<kni::NeighbourKey>& a, const std::vector<kni::NeighbourKey>& b
        ) const {
            return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end(), KeyOrder{});
        }
    };

    /// The gateways of published routes, pinned as long as one of these routes is there.
    using Gateways = std::map<std::vector<kni::NeighbourKey>, std::uint32_t, VectorOrder>;

    struct Built {
        std::uint32_t table = 0;
        std::unique_ptr<const forwarding::Route> route;  ///< null when it leads nowhere now
    };

    forwarding::RoutingPolicy& policy(net::Family family) noexcept;
    void pin_gateways(const net::Prefix& prefix, const std::vector<Built>& built);
    void refresh_covered(const net::Prefix& prefix);
    void refresh(forwarding::DestinationId id, Tracked& tracked);
    forwarding::NextHop next_hop(
        forwarding::DestinationId id, const net::IpAddress& address
    ) noexcept;
    void set_tunnel(Tracked& tracked, const forwarding::NextHop* hop);
    void store_port(const kni::Link& link, forwarding::PortIndex port);
    void publish_own_addresses();
    void refresh_routes_through(const std::vector<std::uint32_t>& interfaces);

    forwarding::Configuration& configuration_;
    forwarding::Reclaimer& reclaimer_;
    kni::NeighbourResolver& resolver_;
    const kni::KernelState& state_;
    ShadowPorts ports_;
    NeighbourPublisher neighbours_;
    IngressPublisher ingress_;
    TunnelPublisher tunnels_;
    PortChanged port_changed_;
    std::function<void()> links_changed_;
    std::unordered_map<std::uint32_t, Tracked> tracked_;  ///< by DestinationId
    std::multimap<net::IpAddress, std::uint32_t> tracked_by_address_;
    Gateways gateways_;  ///< and how many prefixes have them
    std::unordered_map<net::Prefix, Gateways::iterator, kni::KeyHash> gateways_of_;
};

}  // namespace nlvs::daemon
