#pragma once

#include <csignal>
#include <vector>

namespace nlvs::forwarding {

/// While it lives, every signal that net_tap could pick for itself looks taken.
///
/// The driver wants a signal with each packet and reads its queues only after one was handled, in
/// whatever thread that happens. A worker that the queue's descriptor woke may come before the
/// signal, see nothing, and sleep on. Without a free signal the driver reads whenever it is asked.
/// Thread: control.
class TapSignals {
public:
    TapSignals();
    TapSignals(const TapSignals&) = delete;
    TapSignals& operator=(const TapSignals&) = delete;
    ~TapSignals();

private:
    std::vector<int> taken_;
};

}  // namespace nlvs::forwarding
