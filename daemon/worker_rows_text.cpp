#include "daemon/worker_rows_text.hpp"

#include <utility>

#include "compat/procfs/statistics_text.hpp"

namespace nlvs::daemon {

WorkerRowsText::WorkerRowsText(
    const ipvs::Control& control, const StatisticsReader& statistics, Later later
)
    : control_{control},
      statistics_{statistics},
      later_{std::move(later)},
      rows_(statistics.workers()),
      self_{std::make_shared<WorkerRowsText*>(this)} {}

void WorkerRowsText::next(Deliver deliver) {
    if (std::exchange(told_, true)) return deliver({});
    deliver_ = std::move(deliver);
    add_slice();
}

void WorkerRowsText::add_slice() {
    if (worker_ < rows_.size()) {
        destination_ = statistics_.add_slice(worker_, destination_, rows_[worker_]);
        if (destination_ == statistics_.end) {
            destination_ = 0;
            ++worker_;
        }
    }
    if (worker_ == rows_.size()) {
        return std::exchange(deliver_, {})(
            procfs::statistics_per_cpu_text(rows_, control_.totals())
        );
    }
    const std::weak_ptr<WorkerRowsText*> alive = self_;
    later_([alive] {
        if (const auto text = alive.lock()) (*text)->add_slice();
    });
}

}  // namespace nlvs::daemon
