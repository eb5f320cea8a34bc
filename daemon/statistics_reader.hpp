#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "compat/ipvs/statistics.hpp"
#include "daemon/rate_estimator.hpp"
#include "daemon/registered.hpp"
#include "forwarding/identifiers.hpp"
#include "forwarding/statistics/worker_counters.hpp"

namespace nlvs::daemon {

/// Turns the workers' counters into what IPVS shows.
///
/// Workers count per destination only. A destination's live value is the sum over the workers;
/// what it grew by since the last look is added to its service and to the totals, so the history
/// of deleted destinations stays there. One pass takes two seconds; with many destinations it is
/// spread over slices so that no slice holds the control thread for long.
/// Thread: control.
class StatisticsReader {
public:
    static constexpr std::chrono::milliseconds period{2000};

    explicit StatisticsReader(std::vector<const forwarding::WorkerCounters*> workers);

    void add_service(forwarding::ServiceId id);
    void remove_service(forwarding::ServiceId id);

    /// The workers' counters for `id` exist from now on. A created destination starts at zero.
    void attach(forwarding::DestinationId id, forwarding::ServiceId service, Origin origin);
    /// The destination counts no more; its last growth goes to service and totals.
    void detach(forwarding::DestinationId id);

    ipvs::Statistics destination(forwarding::DestinationId id) const;
    ipvs::Statistics service(forwarding::ServiceId id) const;
    ipvs::Statistics totals() const { return totals_.estimator.view(); }

    void zero_destination(forwarding::DestinationId id);
    void zero_service(forwarding::ServiceId id);
    void zero_totals() { totals_.estimator.zero(); }

    /// Does the next slice and returns the time until the one after it.
    std::chrono::milliseconds tick();

    std::size_t workers() const noexcept { return workers_.size(); }

    static constexpr std::size_t end = ~std::size_t{0};

    /// Adds to `sum` what one worker has counted since it started, live and never zeroed, for the
    /// destinations from the one numbered `from` on. Returns the number to go on with, or `end`.
    std::size_t add_slice(std::size_t worker, std::size_t from, ipvs::Totals& sum) const;

private:
    struct Accumulated {
        ipvs::Totals live;
        RateEstimator estimator;
        bool used = false;
    };

    struct Destination {
        ipvs::Totals folded;  ///< live value that service and totals already have
        RateEstimator estimator;
        forwarding::ServiceId service;  ///< none while detached
    };

    ipvs::Totals live(std::size_t destination) const noexcept;
    void fold(Destination& destination, const ipvs::Totals& live) noexcept;
    void finish_pass() noexcept;

    std::vector<const forwarding::WorkerCounters*> workers_;
    std::deque<Destination> destinations_;
    std::deque<Accumulated> services_;
    Accumulated totals_;
    std::size_t next_destination_ = 0;  ///< where the next slice starts
    std::size_t slices_ = 1;            ///< of this pass
};

}  // namespace nlvs::daemon
