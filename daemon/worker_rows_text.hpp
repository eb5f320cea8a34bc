#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "compat/ipvs/control.hpp"
#include "daemon/statistics_reader.hpp"
#include "daemon/text_source.hpp"

namespace nlvs::daemon {

/// The text of /proc/net/ip_vs_stats_percpu: a row per worker, which takes the place of a CPU. A row
/// is a sum over all destinations. Of a million of them it is made a slice at a time, and between two
/// slices others are served.
/// Thread: control.
class WorkerRowsText final : public TextSource {
public:
    /// Runs the function later, behind whatever is ready by then.
    using Later = std::function<void(std::function<void()>)>;

    /// Control and statistics outlive the source.
    WorkerRowsText(
        const ipvs::Control& control, const StatisticsReader& statistics, Later later
    );

    void next(Deliver deliver) override;

private:
    void add_slice();

    const ipvs::Control& control_;
    const StatisticsReader& statistics_;
    Later later_;
    std::vector<ipvs::Totals> rows_;
    std::size_t worker_ = 0;
    std::size_t destination_ = 0;  ///< where the next slice of the worker's begins
    bool told_ = false;
    Deliver deliver_;
    std::shared_ptr<WorkerRowsText*> self_;  ///< for continuations, which may come too late
};

}  // namespace nlvs::daemon
