#include "daemon/worker_group.hpp"

#include <rte_launch.h>
#include <sys/random.h>

#include <algorithm>
#include <stdexcept>

#include "forwarding/nic/eal.hpp"

namespace nlvs::daemon {
namespace {

using forwarding::PortIndex;
using forwarding::Worker;
using forwarding::WorkerId;

/// Connections for which every table keeps memory ready: what a worker opens at a million a
/// second between two maintenance rounds, with some to spare.
constexpr std::uint32_t connections_ahead = 64 * 1024;
constexpr std::uint32_t templates_ahead = 4 * 1024;
/// Only while there is a service of port 21; others pay when they need it.
constexpr std::uint32_t controls_ahead = 4 * 1024;
constexpr std::uint32_t templates_expired_at_once = 16 * 1024;

std::uint64_t secret() {
    std::uint64_t value = 0;
    if (getrandom(&value, sizeof(value), 0) != sizeof(value)) {
        throw std::runtime_error{"the kernel gives no random numbers"};
    }
    return value;
}

/// Flows spread over workers by a hash, so one worker may get more than its share.
std::uint32_t share_of_connections(const WorkerGroupSettings& settings) {
    if (settings.workers == 1) return settings.maximum_connections;
    const std::uint64_t even = settings.maximum_connections / settings.workers;
    return static_cast<std::uint32_t>(even + even / 4 + 1024);
}

forwarding::WorkerOptions worker_options(const WorkerGroupSettings& settings) {
    forwarding::WorkerOptions options;
    options.maximum_connections = share_of_connections(settings);
    options.seed = secret();
    options.adaptive = settings.adaptive;
    options.punt_rates = settings.punt_rates;
    for (auto& rate : options.punt_rates.packets_per_second) {
        if (rate != 0) rate = std::max<std::uint32_t>(rate / settings.workers, 1);
    }
    return options;
}

int run_worker(void* worker) {
    static_cast<Worker*>(worker)->run();
    return 0;
}

}  // namespace

WorkerGroup::WorkerGroup(
    forwarding::Configuration& configuration, forwarding::QuiescentState& quiescence,
    const std::vector<GroupPort>& ports, const WorkerGroupSettings& settings,
    const forwarding::Steering& steering
)
    : templates_{configuration.destinations, secret(), clock_.read().ticks},
      shared_{configuration, templates_, steering, secret()} {
    std::vector<forwarding::WorkerPort> worker_ports;
    for (PortIndex index = 0; index < ports.size(); ++index) {
        const GroupPort& port = ports[index];
        shared_.ports[index].partial_checksums = port.nic->partial_checksums();
        worker_ports.push_back({index, port.nic->id(), {}});
        if (port.shadow != nullptr) worker_ports.back().shadow = port.shadow->id();
    }
    for (WorkerId id = 0; id < settings.workers; ++id) {
        auto doorbell = std::make_unique<forwarding::Doorbell>();
        for (const GroupPort& port : ports) {
            doorbell->add(*port.nic, id);
            if (port.shadow != nullptr) doorbell->add(*port.shadow, id);
        }
        doorbell->add_descriptor(shared_.hand_over.doorbell(id));
        workers_.push_back(std::make_unique<Worker>(
            id, worker_ports, shared_, quiescence, *doorbell, worker_options(settings)
        ));
        doorbells_.push_back(std::move(doorbell));
    }
    maintain();
}

WorkerGroup::~WorkerGroup() { stop(); }

void WorkerGroup::start() {
    running_ = true;
    for (WorkerId id = 0; id < workers_.size(); ++id) {
        if (rte_eal_remote_launch(run_worker, workers_[id].get(), forwarding::Eal::lcore_of(id)) != 0) {
            throw std::runtime_error{"worker " + std::to_string(id) + " cannot be started"};
        }
    }
}

void WorkerGroup::stop() noexcept {
    if (!running_) return;
    running_ = false;
    for (const auto& worker : workers_) worker->stop();
    for (WorkerId id = 0; id < workers_.size(); ++id) rte_eal_wait_lcore(forwarding::Eal::lcore_of(id));
}

std::vector<WorkerAccess> WorkerGroup::access() {
    std::vector<WorkerAccess> result;
    for (const auto& worker : workers_) {
        auto& state = worker->state();
        result.push_back({
            &state.counters, &state.schedulers, &state.mailbox,
            [this, id = state.id] { shared_.hand_over.wake(id); }
        });
    }
    return result;
}

void WorkerGroup::maintain() noexcept {
    for (const auto& worker : workers_) {
        worker->state().connections_v4.reserve(connections_ahead);
        worker->state().connections_v6.reserve(connections_ahead);
    }
    templates_.reserve(templates_ahead);
    if (shared_.configuration.ftp_services.load(std::memory_order_relaxed) != 0) {
        shared_.controls.reserve(controls_ahead);
        shared_.expected.reserve(controls_ahead);
    }
    const forwarding::Time now = clock_.read();
    templates_.expire(now.ticks, templates_expired_at_once, [this](forwarding::TemplateId id) {
        if (template_kept_) template_kept_(id);
    });
    reserve_sync_ends();
    if (now.ticks - last_drop_ < forwarding::ticks_per_second) return;
    last_drop_ = now.ticks;
    shared_.expected.expire(now.ticks);
    const forwarding::Settings* settings = shared_.configuration.settings.current();
    if (settings != nullptr && settings->drop_entry) {
        templates_.drop_idle(forwarding::EntryDropper::share);
    }
}

void WorkerGroup::reserve_sync_ends() noexcept {
    const forwarding::Settings* settings = shared_.configuration.settings.current();
    if (settings == nullptr || !settings->sync_master || settings->sysctls.sync_refresh_period <= 0) {
        return;
    }
    for (const auto& worker : workers_) {
        auto& state = worker->state();
        state.sync_ends.reserve(
            state.connections_v4.size() + connections_ahead,
            state.connections_v6.size() + connections_ahead
        );
    }
}

bool WorkerGroup::next_wanted(forwarding::NeighbourWanted& wanted) noexcept {
    return std::ranges::any_of(workers_, [&wanted](const auto& worker) {
        return worker->state().mailbox.wanted(wanted);
    });
}

}  // namespace nlvs::daemon
