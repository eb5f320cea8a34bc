#include "daemon/worker_care.hpp"

#include <utility>

namespace nlvs::daemon {

WorkerCare::WorkerCare(boost::asio::io_context& context, WorkerGroup& workers, Resolve resolve)
    : workers_{workers}, resolve_{std::move(resolve)}, maintenance_{context}, wants_{context} {
    maintain();
    pass_on_wants();
}

void WorkerCare::maintain() {
    workers_.maintain();
    maintenance_.expires_after(WorkerGroup::maintenance_period);
    maintenance_.async_wait([this](const boost::system::error_code& error) {
        if (!error) maintain();
    });
}

void WorkerCare::pass_on_wants() {
    forwarding::NeighbourWanted wanted;
    while (workers_.next_wanted(wanted)) resolve_(wanted);
    wants_.expires_after(wants_period);
    wants_.async_wait([this](const boost::system::error_code& error) {
        if (!error) pass_on_wants();
    });
}

}  // namespace nlvs::daemon
