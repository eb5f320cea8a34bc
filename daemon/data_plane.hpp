#pragma once

#include <memory>
#include <vector>

#include "daemon/log.hpp"
#include "daemon/options.hpp"
#include "daemon/worker_group.hpp"
#include "forwarding/config/configuration.hpp"
#include "forwarding/nic/buffer_pool.hpp"
#include "forwarding/nic/eal.hpp"
#include "forwarding/nic/ethernet_port.hpp"
#include "kni/kernel_port.hpp"

namespace nlvs::daemon {

/// Everything that moves packets: the EAL, the NICs with their shadow interfaces, the workers.
/// Exists only in a daemon with ports; a daemon without them needs no DPDK at run time.
/// Thread: control.
class DataPlane {
public:
    struct Port {
        std::unique_ptr<forwarding::EthernetPort> nic;
        std::unique_ptr<kni::KernelPort> shadow;
    };

    /// Opens and starts the ports; throws std::runtime_error with one sentence.
    DataPlane(
        const Options& options, forwarding::Configuration& configuration,
        forwarding::QuiescentState& quiescence, const Log& log
    );
    DataPlane(const DataPlane&) = delete;
    DataPlane& operator=(const DataPlane&) = delete;
    /// Workers leave the ports before the ports go.
    ~DataPlane();

    WorkerGroup& workers() noexcept { return *workers_; }

    /// In the order of their forwarding::PortIndex.
    const std::vector<Port>& ports() const noexcept { return ports_; }

private:
    void open_port(const PortOptions& options, std::uint16_t workers, bool keep);
    forwarding::Steering steer(const Options& options) const;

    std::unique_ptr<forwarding::Eal> eal_;
    std::unique_ptr<forwarding::BufferPool> pool_;
    std::vector<Port> ports_;
    std::unique_ptr<WorkerGroup> workers_;
};

}  // namespace nlvs::daemon
