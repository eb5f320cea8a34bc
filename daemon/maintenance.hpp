#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "daemon/control_plane.hpp"
#include "forwarding/config/published.hpp"

namespace nlvs::daemon {

/// What control does by the clock: statistics, the trash of destinations, memory that workers
/// have left.
/// Thread: control.
class Maintenance {
public:
    Maintenance(
        boost::asio::io_context& context, ControlPlane& control, forwarding::Reclaimer& reclaimer
    );

private:
    void tick_statistics();
    void scan_trash();
    void reclaim();

    ControlPlane& control_;
    forwarding::Reclaimer& reclaimer_;
    boost::asio::steady_timer statistics_;
    boost::asio::steady_timer trash_;
    boost::asio::steady_timer reclamation_;
};

}  // namespace nlvs::daemon
