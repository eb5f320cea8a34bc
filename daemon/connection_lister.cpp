#include "daemon/connection_lister.hpp"

#include <utility>

namespace nlvs::daemon {
namespace {

/// Lines per page, about 80 bytes each; templates looked at for a page.
constexpr std::uint32_t page = 1024;

}  // namespace

ConnectionLister::ConnectionLister(
    WorkerMail& mail, WorkerGroup* workers, std::string_view header, Append append
)
    : mail_{mail},
      workers_{workers},
      header_{header},
      append_{append},
      self_{std::make_shared<ConnectionLister*>(this)} {}

void ConnectionLister::next(Deliver deliver) {
    if (!header_.empty()) return deliver(std::exchange(header_, {}));
    deliver_ = std::move(deliver);
    ask();
}

void ConnectionLister::ask() {
    if (worker_ == mail_.workers()) return list_shared();
    auto request = std::make_unique<forwarding::WorkerRequest>();
    request->kind = forwarding::WorkerRequest::Kind::list_connections;
    request->cursor = cursor_;
    request->limit = page;
    request->connections.reserve(page);
    const std::weak_ptr<ConnectionLister*> alive = self_;
    mail_.post(worker_, std::move(request), [alive](forwarding::WorkerRequest& answer) {
        if (const auto lister = alive.lock()) (*lister)->answered(answer);
    });
}

void ConnectionLister::answered(forwarding::WorkerRequest& request) {
    cursor_ = request.cursor;
    if (cursor_ == forwarding::WorkerRequest::end) {
        ++worker_;
        cursor_ = 0;
    }
    if (request.connections.empty()) return ask();
    std::string piece;
    for (const ipvs::ConnectionView& connection : request.connections) append_(piece, connection);
    std::exchange(deliver_, {})(std::move(piece));
}

void ConnectionLister::list_shared() {
    std::string piece;
    const auto append = [&](const ipvs::ConnectionView& seen) { append_(piece, seen); };
    while (workers_ != nullptr && piece.empty() &&
           template_cursor_ != forwarding::PersistenceTable::end) {
        template_cursor_ = workers_->visit_templates(template_cursor_, page, append);
    }
    while (workers_ != nullptr && piece.empty() &&
           expected_cursor_ != forwarding::ExpectedConnections::end) {
        expected_cursor_ = workers_->visit_expected(expected_cursor_, append);
    }
    std::exchange(deliver_, {})(std::move(piece));
}

}  // namespace nlvs::daemon
