#pragma once

#include "daemon/destination_tracker.hpp"

struct mnl_socket;

namespace nlvs::daemon {

/// The tracker of a daemon without ports: no packet needs a next hop, only the address check of
/// new destinations remains, and it asks the kernel each time.
/// Thread: control.
class UntrackedDestinations final : public DestinationTracker {
public:
    /// Throws std::runtime_error when the kernel gives no routing socket.
    UntrackedDestinations();
    ~UntrackedDestinations() override;

    void track(
        forwarding::DestinationId, forwarding::DestinationSlot&, const net::IpAddress&,
        ipvs::ForwardingMethod, const ipvs::Tunnel&
    ) override {}

    void untrack(forwarding::DestinationId) override {}

    AddressType address_type(const net::IpAddress& address) const override;

private:
    AddressType route_type(net::Ipv4Address address) const;

    mnl_socket* socket_;
    mutable std::uint32_t sequence_ = 0;
};

/// What an address is by its bits alone; unicast stands for "ask the kernel".
/// Linux: net/ipv6/addrconf_core.c __ipv6_addr_type, include/linux/in.h.
AddressType classify(const net::IpAddress& address) noexcept;

}  // namespace nlvs::daemon
