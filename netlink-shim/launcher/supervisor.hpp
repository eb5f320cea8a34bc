#pragma once

#include "netlink-shim/launcher/descriptor_calls.hpp"
#include "netlink-shim/launcher/filter.hpp"

#include <atomic>

namespace nlvs::shim {

/// Answers the calls of all processes under one filter, in as many threads as calls wait at once.
class Supervisor {
public:
    Supervisor(int listener, const WatchedDescriptors& watched);

    /// Calls are answered from here on.
    void start();

    /// Returns when the last supervised process is gone.
    void wait() const;

private:
    void add_worker();
    void work();
    Answer answer_to(const Call& call);

    int listener_;
    DescriptorCalls descriptors_;
    std::atomic<int> idle_ = 0;
};

}  // namespace nlvs::shim
