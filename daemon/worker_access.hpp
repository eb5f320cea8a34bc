#pragma once

#include <functional>

#include "forwarding/config/slot_array.hpp"
#include "forwarding/schedulers/scheduler_state.hpp"
#include "forwarding/statistics/worker_counters.hpp"

namespace nlvs::forwarding {
class Mailbox;
}

namespace nlvs::daemon {

/// The parts of one worker that control prepares, reads or posts to.
struct WorkerAccess {
    forwarding::WorkerCounters* counters = nullptr;
    forwarding::SlotArray<forwarding::SchedulerState>* schedulers = nullptr;
    forwarding::Mailbox* mailbox = nullptr;
    std::function<void()> wake;  ///< after a post: the worker may be asleep
};

}  // namespace nlvs::daemon
