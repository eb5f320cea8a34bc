#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>

#include "daemon/worker_group.hpp"

namespace nlvs::daemon {

/// What control does for the workers by the clock: memory ahead of need, template expiry, and
/// the neighbours that packets wait for.
/// Thread: control.
class WorkerCare {
public:
    using Resolve = std::function<void(const forwarding::NeighbourWanted&)>;

    /// `resolve` asks the kernel for a neighbour. Wants are looked at every `wants_period`.
    WorkerCare(boost::asio::io_context& context, WorkerGroup& workers, Resolve resolve);

private:
    /// A packet waits for its neighbour at least one round trip; this adds little to it.
    static constexpr std::chrono::milliseconds wants_period{10};

    void maintain();
    void pass_on_wants();

    WorkerGroup& workers_;
    Resolve resolve_;
    boost::asio::steady_timer maintenance_;
    boost::asio::steady_timer wants_;
};

}  // namespace nlvs::daemon
