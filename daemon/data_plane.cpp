#include "daemon/data_plane.hpp"

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

namespace nlvs::daemon {
namespace {

constexpr std::uint16_t descriptors = 512;

/// Of each queue both directions may be full, on the NIC and on its shadow, while every worker
/// holds a burst and a cache.
unsigned buffers_for(const Options& options) {
    constexpr unsigned rings = 4;
    constexpr unsigned held_by_worker = 1024;
    const auto queues = static_cast<unsigned>(options.ports.size() * options.workers);
    const unsigned wanted = queues * rings * descriptors + options.workers * held_by_worker;
    return std::bit_ceil(std::max(wanted, 8192U)) - 1;
}

kni::KernelPortBackend backend_of(const PortOptions& options, std::uint16_t workers) {
    switch (options.backend) {
        case ShadowBackend::tap: return kni::KernelPortBackend::tap;
        case ShadowBackend::vhost: return kni::KernelPortBackend::virtio_user;
        case ShadowBackend::automatic: break;
    }
    return kni::KernelPort::preferred_backend(workers);
}

forwarding::EalSettings eal_settings(const Options& options) {
    forwarding::EalSettings settings;
    settings.huge = options.huge_pages != Options::HugePages::off;
    settings.memory = options.memory_megabytes;
    settings.worker_cpus = options.cpus;
    settings.worker_cpus.resize(options.workers, forwarding::EalSettings::any_cpu);
    // A netdev that another daemon left decides itself by what it is driven.
    for (const auto backend : {kni::KernelPortBackend::tap, kni::KernelPortBackend::virtio_user}) {
        settings.drivers.push_back(kni::KernelPort::driver(backend));
    }
    for (const PortOptions& port : options.ports) {
        settings.drivers.push_back(forwarding::driver_for_device(port.device));
    }
    settings.debug = options.log_level == LogLevel::debug;
    return settings;
}

}  // namespace

DataPlane::DataPlane(
    const Options& options, forwarding::Configuration& configuration,
    forwarding::QuiescentState& quiescence, const Log& log
)
    : eal_{std::make_unique<forwarding::Eal>(eal_settings(options))} {
    if (!eal_->notice().empty()) {
        if (options.huge_pages == Options::HugePages::on) throw std::runtime_error{eal_->notice()};
        log.notice("{}", eal_->notice());
    }
    pool_ = std::make_unique<forwarding::BufferPool>(
        forwarding::BufferPool::Settings{.count = buffers_for(options)}
    );
    for (const PortOptions& port : options.ports) open_port(port, options.workers, options.keep_addresses);
    std::vector<GroupPort> group_ports;
    for (const Port& port : ports_) group_ports.push_back({port.nic.get(), &port.shadow->port()});
    workers_ = std::make_unique<WorkerGroup>(
        configuration, quiescence, group_ports,
        WorkerGroupSettings{
            options.workers, options.maximum_connections, options.poll == Options::Poll::adaptive,
            options.punt_rates
        },
        steer(options)
    );
}

DataPlane::~DataPlane() {
    workers_.reset();
    while (!ports_.empty()) ports_.pop_back();
}

/// Ours, unless NICs can choose: then their choice, once all that have a table make it alike.
forwarding::Steering DataPlane::steer(const Options& options) const {
    const bool by_nic = std::ranges::any_of(options.ports, [](const PortOptions& port) {
        return port.hash != forwarding::ReceiveHash::flow;
    });
    std::vector<forwarding::EthernetPort*> choosing;
    for (const Port& port : ports_) {
        if (port.nic->redirection_entries() != 0) choosing.push_back(port.nic.get());
    }
    if (!by_nic || choosing.empty()) return forwarding::Steering{options.workers};
    const auto* smallest =
        *std::ranges::min_element(choosing, {}, &forwarding::EthernetPort::redirection_entries);
    const forwarding::RedirectionTable table{smallest->redirection_entries(), options.workers};
    for (forwarding::EthernetPort* nic : choosing) nic->redirect(table);
    return {options.workers, table};
}

void DataPlane::open_port(const PortOptions& options, std::uint16_t workers, bool keep) {
    Port port;
    port.nic = std::make_unique<forwarding::EthernetPort>(
        forwarding::EthernetPortSettings{
            .device = options.device,
            .queues = workers,
            .descriptors = descriptors,
            .mtu = 0,
            .promiscuous = false,
            .all_multicast = true,
            .hash = options.hash,
        },
        *pool_
    );
    port.shadow = std::make_unique<kni::KernelPort>(
        kni::KernelPortSettings{
            options.shadow, port.nic->mac(), port.nic->mtu(), workers, keep, backend_of(options, workers)
        },
        *pool_
    );
    port.nic->start();
    port.shadow->start();
    port.shadow->show(port.nic->link());
    ports_.push_back(std::move(port));
}

}  // namespace nlvs::daemon
