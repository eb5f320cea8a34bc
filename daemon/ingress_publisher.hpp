#pragma once

#include "compat/net/mac_address.hpp"
#include "daemon/shadow_ports.hpp"
#include "forwarding/config/configuration.hpp"
#include "kni/kernel_state.hpp"
#include "kni/router_state.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <vector>

namespace nlvs::daemon {

/// Tells workers which frames the host receives (forwarding::IngressTable) and whether they may be
/// routed further, and NICs which unicast addresses they must let through.
///
/// The frames and addresses follow from the links: a frame is received if an interface that is up has its destination
/// address and its tags. Linux: macvlan_open and vlan_dev_open add the same addresses to the
/// device below.
/// Thread: control.
class IngressPublisher {
public:
    /// All addresses of a port's interfaces, called when they are others than before.
    using Addresses = std::set<net::MacAddress>;
    using Changed = std::function<void(forwarding::PortIndex, const Addresses&)>;

    IngressPublisher(
        forwarding::Configuration& configuration,
        forwarding::Reclaimer& reclaimer,
        const ShadowPorts& ports,
        const kni::KernelState& state
    )
        : configuration_{configuration}, reclaimer_{reclaimer}, ports_{ports}, state_{state} {}

    void on_change(Changed changed) { changed_ = std::move(changed); }

    /// After any change of links: publishes what is different now.
    void refresh();

    /// From now on packets of no service are routed as far as `router` says.
    void route_by(const kni::RouterState& router);

private:
    struct KeyOrder {
        bool operator()(
            const forwarding::IngressKey& a, const forwarding::IngressKey& b
        ) const noexcept {
            return a.station != b.station ? a.station < b.station : a.tags < b.tags;
        }
    };

    struct Receiver {
        std::uint32_t interface = 0;
        std::uint32_t input = 0;
        std::uint32_t vrf_table = 0;
        bool forwards_v4 = false;
        bool forwards_v6 = false;
        forwarding::SourceCheck source_check = forwarding::SourceCheck::none;

        friend bool operator==(const Receiver&, const Receiver&) = default;
    };

    using Entries = std::map<forwarding::IngressKey, Receiver, KeyOrder>;

    Receiver receiver(const kni::Link& link) const;
    bool goes_before(std::uint32_t one, std::uint32_t other) const;

    void publish(const Entries& next);

    forwarding::Configuration& configuration_;
    forwarding::Reclaimer& reclaimer_;
    const ShadowPorts& ports_;
    const kni::KernelState& state_;
    Changed changed_;
    kni::RouterState router_;
    Entries entries_;
    std::map<forwarding::PortIndex, Addresses> addresses_;
};

}  // namespace nlvs::daemon
