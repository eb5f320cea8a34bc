#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "daemon/control_plane.hpp"
#include "daemon/journal.hpp"
#include "forwarding/config/published.hpp"

namespace nlvs::daemon {

/// What control does by the clock: statistics, the trash of destinations, memory that workers
/// have left, the journal, the defences against a lack of memory.
/// Thread: control.
class Maintenance {
public:
    Maintenance(
        boost::asio::io_context& context, ControlPlane& control, forwarding::Reclaimer& reclaimer,
        Journal& journal
    );

private:
    void tick_statistics();
    void scan_trash();
    void reclaim();
    void keep_journal();
    void watch_memory();

    ControlPlane& control_;
    forwarding::Reclaimer& reclaimer_;
    Journal& journal_;
    boost::asio::steady_timer statistics_;
    boost::asio::steady_timer trash_;
    boost::asio::steady_timer reclamation_;
    boost::asio::steady_timer journal_timer_;
    boost::asio::steady_timer memory_;
};

}  // namespace nlvs::daemon
