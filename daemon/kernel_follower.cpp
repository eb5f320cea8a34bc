#include "daemon/kernel_follower.hpp"

#include "kni/multicast_groups.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <vector>

namespace nlvs::daemon {
namespace {

std::vector<std::uint32_t> shadow_interfaces(const DataPlane& data_plane) {
    std::vector<std::uint32_t> interfaces;
    for (const auto& port : data_plane.ports()) interfaces.push_back(port.shadow->index());
    return interfaces;
}

class PortFilter final : public NicFilter {
public:
    explicit PortFilter(forwarding::EthernetPort& port) : port_{port} {}

    bool add_mac(const net::MacAddress& mac) override { return port_.add_mac(mac); }

    void remove_mac(const net::MacAddress& mac) override { port_.remove_mac(mac); }

    bool set_groups(const std::set<net::MacAddress>& groups) override {
        return port_.set_multicast_groups(groups);
    }

    void set_promiscuous(bool on) override { port_.set_promiscuous(on); }

private:
    forwarding::EthernetPort& port_;
};

}  // namespace

struct KernelFollower::Nic {
    explicit Nic(forwarding::EthernetPort& port) : filter{port} {}

    PortFilter filter;
    NicAddresses addresses{filter};
};

KernelFollower::KernelFollower(
    boost::asio::io_context& context, forwarding::Configuration& configuration,
    forwarding::Reclaimer& reclaimer, DataPlane& data_plane, bool routes_packets, const Log& log
)
    : data_plane_{data_plane},
      log_{log},
      keeper_{context},
      routes_{configuration, reclaimer, keeper_, shadow_interfaces(data_plane), mirror_.state()},
      monitor_{context, mirror_},
      marks_{context, configuration, reclaimer, [this] { return interface_names(); }, log},
      care_{context, data_plane.workers(), [this](const forwarding::NeighbourWanted& wanted) {
                routes_.want(wanted);
            }},
      carriers_{context},
      groups_{context} {
    for (const auto& port : data_plane.ports()) nics_.push_back(std::make_unique<Nic>(*port.nic));
    routes_.on_addresses_change(
        [this](forwarding::PortIndex port, const IngressPublisher::Addresses& addresses) {
            follow_addresses(port, addresses);
        }
    );
    routes_.on_port_change([this](forwarding::PortIndex port, const kni::Link& link) {
        follow_link(port, link);
    });
    routes_.on_links_change([this] {
        marks_.names_changed();
        warn_of_refused();
    });
    mirror_.observe(routes_);
    if (routes_packets) {
        router_.emplace(context, [this](const kni::RouterState& state) { routes_.route_by(state); });
    }
    watch_carriers();
    bool some_choose = false;
    for (const auto& port : data_plane.ports()) {
        if (port.nic->receives_all_multicast()) continue;
        log_.notice("{} does not receive all multicast: it is told the groups", port.nic->device());
        some_choose = true;
    }
    if (some_choose) watch_groups();
}

KernelFollower::~KernelFollower() { keeper_.stop(); }

void KernelFollower::start() {
    constexpr std::chrono::milliseconds patience{500};
    monitor_.start(patience);
    if (!monitor_.synchronised()) {
        log_.warning("the kernel's routes take long to read; forwarding starts with what is there");
    }
    if (router_) router_->start();
    marks_.start();
    if (const std::string& error = marks_.monitor().error(); !error.empty()) {
        log_.warning("the kernel's packet filter rules are not known yet: {}", error);
    }
}

InterfaceNames KernelFollower::interface_names() const {
    InterfaceNames names;
    for (const auto& [index, link] : mirror_.state().links) names[index] = link.value.name;
    return names;
}

void KernelFollower::follow_link(forwarding::PortIndex port, const kni::Link& link) {
    forwarding::EthernetPort& nic = *data_plane_.ports()[port].nic;
    try {
        if (link.mac != net::MacAddress{} && nic.mac() != link.mac) nic.set_mac(link.mac);
        if (link.mtu != 0 && nic.mtu() != link.mtu) nic.set_mtu(static_cast<std::uint16_t>(link.mtu));
        nics_[port]->addresses.want_everything(link.promiscuous);
    } catch (const std::exception& error) {
        log_.warning("{} does not follow {}: {}", nic.device(), link.name, error.what());
    }
}

void KernelFollower::follow_addresses(
    forwarding::PortIndex port, const IngressPublisher::Addresses& addresses
) {
    forwarding::EthernetPort& nic = *data_plane_.ports()[port].nic;
    try {
        nics_[port]->addresses.want(addresses, nic.mac());
    } catch (const std::exception& error) {
        log_.warning("{} does not receive for all its interfaces: {}", nic.device(), error.what());
    }
}

void KernelFollower::warn_of_refused() {
    auto refused = routes_.refused();
    for (const RefusedDevice& device : refused) {
        if (std::ranges::count(refused_, device) != 0) continue;
        log_.warning("{} ({}) is not followed: {}", device.device, device.kind, device.reason);
    }
    refused_ = std::move(refused);
}

void KernelFollower::watch_carriers() {
    constexpr std::chrono::milliseconds period{100};
    for (const DataPlane::Port& port : data_plane_.ports()) {
        try {
            port.shadow->show(port.nic->link());
        } catch (const std::exception& error) {
            log_.debug("carrier of {}: {}", port.shadow->name(), error.what());
        }
    }
    carriers_.expires_after(period);
    carriers_.async_wait([this](const boost::system::error_code& error) {
        if (!error) watch_carriers();
    });
}

/// The kernel announces no change of them.
void KernelFollower::watch_groups() {
    constexpr std::chrono::seconds period{1};
    kni::MulticastGroups groups = kni::read_multicast_groups();
    for (std::size_t port = 0; port < nics_.size(); ++port) {
        const DataPlane::Port& one = data_plane_.ports()[port];
        if (one.nic->receives_all_multicast()) continue;
        try {
            nics_[port]->addresses.want_groups(groups[one.shadow->index()]);
        } catch (const std::exception& error) {
            log_.warning("{} does not receive all multicast groups: {}", one.nic->device(), error.what());
        }
    }
    groups_.expires_after(period);
    groups_.async_wait([this](const boost::system::error_code& error) {
        if (!error) watch_groups();
    });
}

}  // namespace nlvs::daemon
