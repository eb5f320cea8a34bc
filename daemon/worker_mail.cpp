#include "daemon/worker_mail.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace nlvs::daemon {
namespace {

/// Short against the time a worker takes to fill a page of a listing.
constexpr std::chrono::microseconds look_again{500};

}  // namespace

WorkerMail::WorkerMail(boost::asio::io_context& context, std::vector<WorkerAccess> workers)
    : timer_{context} {
    for (const WorkerAccess& access : workers) boxes_.emplace_back().access = access;
}

void WorkerMail::post(
    std::size_t worker, std::unique_ptr<forwarding::WorkerRequest> request, Answered answered
) {
    Box& box = boxes_[worker];
    box.waiting.push_back({std::move(request), std::move(answered)});
    send(box);
    look();
}

void WorkerMail::expire_unavailable() {
    for (std::size_t worker = 0; worker < boxes_.size(); ++worker) {
        auto request = std::make_unique<forwarding::WorkerRequest>();
        request->kind = forwarding::WorkerRequest::Kind::expire_unavailable;
        post(worker, std::move(request), [](forwarding::WorkerRequest&) {});
    }
}

void WorkerMail::send(Box& box) {
    bool posted = false;
    while (!box.waiting.empty() && box.sent.size() < forwarding::Mailbox::requests_at_once) {
        if (!box.access.mailbox->post(box.waiting.front().request.get())) break;
        box.sent.push_back(std::move(box.waiting.front()));
        box.waiting.pop_front();
        posted = true;
    }
    if (posted && box.access.wake) box.access.wake();
}

void WorkerMail::look() {
    if (looking_ || !expecting()) return;
    looking_ = true;
    timer_.expires_after(look_again);
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        for (Box& box : boxes_) collect(box);
        looking_ = false;
        look();
    });
}

void WorkerMail::collect(Box& box) {
    while (const forwarding::WorkerRequest* request = box.access.mailbox->collect()) {
        const auto i = std::ranges::find(
            box.sent, request, [](const Letter& letter) { return letter.request.get(); }
        );
        const Letter letter = std::move(*i);
        box.sent.erase(i);
        send(box);
        letter.answered(*letter.request);
    }
}

bool WorkerMail::expecting() const noexcept {
    return std::ranges::any_of(boxes_, [](const Box& box) {
        return !box.sent.empty() || !box.waiting.empty();
    });
}

}  // namespace nlvs::daemon
