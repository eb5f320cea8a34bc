#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "daemon/worker_access.hpp"
#include "forwarding/mailbox.hpp"

namespace nlvs::daemon {

/// Requests to workers and their answers, on the control thread's loop. Answers are looked for
/// only while some are expected.
/// Thread: control.
class WorkerMail {
public:
    using Answered = std::function<void(forwarding::WorkerRequest&)>;

    WorkerMail(boost::asio::io_context& context, std::vector<WorkerAccess> workers);

    std::size_t workers() const noexcept { return boxes_.size(); }

    /// Sends the request, when the worker has room for it. `answered` runs later, never at once.
    void post(
        std::size_t worker, std::unique_ptr<forwarding::WorkerRequest> request, Answered answered
    );

    /// Has every worker drop the connections of destinations that are gone.
    void expire_unavailable();

private:
    struct Letter {
        std::unique_ptr<forwarding::WorkerRequest> request;
        Answered answered;
    };

    struct Box {
        WorkerAccess access;
        std::deque<Letter> waiting;
        std::vector<Letter> sent;
    };

    void send(Box& box);
    void look();
    void collect(Box& box);
    bool expecting() const noexcept;

    boost::asio::steady_timer timer_;
    bool looking_ = false;
    std::deque<Box> boxes_;  ///< never moved
};

}  // namespace nlvs::daemon
