#include "daemon/statistics_reader.hpp"

#include <algorithm>
#include <utility>

namespace nlvs::daemon {
namespace {

/// Up to this many destinations are read in one go, so that a service's and its destinations'
/// figures agree whenever somebody looks; less than a millisecond.
constexpr std::size_t slice_size = 16384;
constexpr std::size_t maximum_slices = 50;

}  // namespace

StatisticsReader::StatisticsReader(std::vector<const forwarding::WorkerCounters*> workers)
    : workers_{std::move(workers)} {}

void StatisticsReader::add_service(forwarding::ServiceId id) {
    if (id.value >= services_.size()) services_.resize(id.value + 1);
    services_[id.value] = Accumulated{};
    services_[id.value].used = true;
}

void StatisticsReader::remove_service(forwarding::ServiceId id) {
    services_[id.value].used = false;
}

void StatisticsReader::attach(
    forwarding::DestinationId id, forwarding::ServiceId service, Origin origin
) {
    if (id.value >= destinations_.size()) destinations_.resize(id.value + 1);
    Destination& destination = destinations_[id.value];
    destination.service = service;
    destination.folded = live(id.value);
    switch (origin) {
        case Origin::created: destination.estimator.start(destination.folded); break;
        case Origin::revived: break;
        case Origin::revived_elsewhere: destination.estimator.zero(); break;
    }
}

void StatisticsReader::detach(forwarding::DestinationId id) {
    Destination& destination = destinations_[id.value];
    fold(destination, live(id.value));
    destination.service = forwarding::ServiceId::none();
}

ipvs::Statistics StatisticsReader::destination(forwarding::DestinationId id) const {
    return destinations_[id.value].estimator.view();
}

ipvs::Statistics StatisticsReader::service(forwarding::ServiceId id) const {
    return services_[id.value].estimator.view();
}

void StatisticsReader::zero_destination(forwarding::DestinationId id) {
    destinations_[id.value].estimator.zero();
}

void StatisticsReader::zero_service(forwarding::ServiceId id) {
    services_[id.value].estimator.zero();
}

ipvs::Totals StatisticsReader::live(std::size_t destination) const noexcept {
    ipvs::Totals sum;
    for (const auto* worker : workers_) {
        sum += worker->destinations[static_cast<std::uint32_t>(destination)].read();
    }
    return sum;
}

void StatisticsReader::fold(Destination& destination, const ipvs::Totals& live) noexcept {
    const ipvs::Totals growth = live - destination.folded;
    destination.folded = live;
    services_[destination.service.value].live += growth;
    totals_.live += growth;
}

std::chrono::milliseconds StatisticsReader::tick() {
    if (next_destination_ == 0) {
        slices_ = std::clamp<std::size_t>(
            (destinations_.size() + slice_size - 1) / slice_size, 1, maximum_slices
        );
    }
    const std::size_t share = (destinations_.size() + slices_ - 1) / slices_;
    const std::size_t stop = std::min(destinations_.size(), next_destination_ + share);
    for (; next_destination_ < stop; ++next_destination_) {
        Destination& destination = destinations_[next_destination_];
        if (destination.service.is_none()) continue;
        const ipvs::Totals now = live(next_destination_);
        fold(destination, now);
        destination.estimator.tick(now);
    }
    const auto interval = period / slices_;
    if (next_destination_ >= destinations_.size()) finish_pass();
    return interval;
}

void StatisticsReader::finish_pass() noexcept {
    for (Accumulated& service : services_) {
        if (service.used) service.estimator.tick(service.live);
    }
    totals_.estimator.tick(totals_.live);
    next_destination_ = 0;
}

std::size_t StatisticsReader::add_slice(
    std::size_t worker, std::size_t from, ipvs::Totals& sum
) const {
    const std::size_t stop = std::min(destinations_.size(), from + slice_size);
    for (std::size_t id = from; id < stop; ++id) {
        sum += workers_[worker]->destinations[static_cast<std::uint32_t>(id)].read();
    }
    return stop < destinations_.size() ? stop : end;
}

}  // namespace nlvs::daemon
