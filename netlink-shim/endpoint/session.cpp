#include "netlink-shim/endpoint/session.hpp"

#include <utility>

namespace nlvs::shim {

bool Session::add(Answer answer) {
    std::size_t size = 0;
    for (const Datagram& datagram : answer.datagrams) size += datagram.size();
    if (backlog_ > 0 && backlog_ + size > max_backlog) return false;
    backlog_ += size;
    for (Datagram& datagram : answer.datagrams) waiting_.push_back(std::move(datagram));
    if (!answer.dump) return true;
    // Linux: af_netlink.c __netlink_dump_start — the first part is made before the next message is
    // looked at, and an empty listing is over with it.
    dump_ = std::move(answer.dump);
    refill();
    return true;
}

Session::Progress Session::advance(const Send& send) {
    for (std::size_t sent = 0; sent < datagrams_per_turn; ++sent) {
        if (waiting_.empty() && !refill()) return Progress::finished;
        switch (send(waiting_.front())) {
            case SendStatus::sent:
                backlog_ -= waiting_.front().size();
                waiting_.pop_front();
                break;
            case SendStatus::full:
                return Progress::blocked;
            case SendStatus::gone:
                return Progress::gone;
        }
    }
    return waiting_.empty() && !dump_ ? Progress::finished : Progress::more;
}

/// Linux: af_netlink.c netlink_dump — DONE travels in a datagram of its own and ends the dump.
bool Session::refill() {
    if (!dump_) return false;
    Datagram datagram = dump_->next(datagram_size);
    if (datagram.empty()) {
        datagram = dump_->done();
        dump_.reset();
    }
    backlog_ += datagram.size();
    waiting_.push_back(std::move(datagram));
    return true;
}

}  // namespace nlvs::shim
