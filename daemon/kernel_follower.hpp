#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/data_plane.hpp"
#include "daemon/log.hpp"
#include "daemon/mark_publisher.hpp"
#include "daemon/nic_addresses.hpp"
#include "daemon/route_publisher.hpp"
#include "daemon/worker_care.hpp"
#include "forwarding/config/configuration.hpp"
#include "kni/kernel_mirror.hpp"
#include "kni/neighbour_keeper.hpp"
#include "kni/router_watch.hpp"
#include "kni/rtnetlink/monitor.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace nlvs::daemon {

/// Everything that ties a data plane to the kernel's network configuration: what iproute2,
/// keepalived and routing daemons do is mirrored, published to the workers and, where it is about
/// a shadow interface itself, done to the NIC. The other way round the shadow interfaces show the
/// carrier of their NICs, so that VRRP and routing daemons notice a pulled cable.
/// Thread: control.
class KernelFollower {
public:
    /// `routes_packets`: packets of no service may be routed where the kernel would.
    /// Throws std::runtime_error.
    KernelFollower(
        boost::asio::io_context& context, forwarding::Configuration& configuration,
        forwarding::Reclaimer& reclaimer, DataPlane& data_plane, bool routes_packets, const Log& log
    );
    KernelFollower(const KernelFollower&) = delete;
    KernelFollower& operator=(const KernelFollower&) = delete;
    /// Workers must be gone.
    ~KernelFollower();

    /// Returns once the kernel's state is published, or keeps at it in the background.
    void start();

    DestinationTracker& destinations() noexcept { return routes_; }

    const kni::KernelMirror& mirror() const noexcept { return mirror_; }

    const kni::Monitor& monitor() const noexcept { return monitor_; }

    const RoutePublisher& routes() const noexcept { return routes_; }

    /// Empty when packets of no service are always the kernel's.
    const std::optional<kni::RouterWatch>& router() const noexcept { return router_; }

    const MarkPublisher& marks() const noexcept { return marks_; }

private:
    struct Nic;

    void follow_link(forwarding::PortIndex port, const kni::Link& link);
    void follow_addresses(forwarding::PortIndex port, const IngressPublisher::Addresses& addresses);
    void warn_of_refused();
    void watch_carriers();
    void watch_groups();
    InterfaceNames interface_names() const;

    DataPlane& data_plane_;
    const Log& log_;
    std::vector<std::unique_ptr<Nic>> nics_;
    std::vector<RefusedDevice> refused_;  ///< the operator has been told of
    kni::KernelMirror mirror_;
    kni::NeighbourKeeper keeper_;
    RoutePublisher routes_;
    kni::Monitor monitor_;
    std::optional<kni::RouterWatch> router_;
    MarkPublisher marks_;
    WorkerCare care_;
    boost::asio::steady_timer carriers_;
    boost::asio::steady_timer groups_;
};

}  // namespace nlvs::daemon
