#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compat/net/ip_address.hpp"
#include "daemon/control_plane.hpp"
#include "forwarding/config/configuration.hpp"

namespace nlvs::daemon {

/// Remembers what is tracked; every address is somebody else's unicast address.
class FakeTracker final : public DestinationTracker {
public:
    struct Tracked {
        net::IpAddress address;
        ipvs::ForwardingMethod method{};
        ipvs::Tunnel tunnel;
    };

    void track(
        forwarding::DestinationId id, forwarding::DestinationSlot&, const net::IpAddress& address,
        ipvs::ForwardingMethod method, const ipvs::Tunnel& tunnel
    ) override {
        tracked[id.value] = {address, method, tunnel};
    }

    void untrack(forwarding::DestinationId id) override { tracked.erase(id.value); }

    AddressType address_type(const net::IpAddress&) const override { return AddressType::unicast; }

    std::map<std::uint32_t, Tracked> tracked;
};

/// A control plane over a configuration that no worker reads, with the tables of two workers.
struct ControlFixture {
    struct WorkerTables {
        forwarding::WorkerCounters counters;
        forwarding::SlotArray<forwarding::SchedulerState> schedulers;
    };

    static constexpr std::size_t worker_count = 2;

    std::vector<std::unique_ptr<WorkerTables>> workers = [] {
        std::vector<std::unique_ptr<WorkerTables>> result;
        for (std::size_t i = 0; i < worker_count; ++i) {
            result.push_back(std::make_unique<WorkerTables>());
        }
        return result;
    }();
    forwarding::QuiescentState quiescence;
    forwarding::Reclaimer reclaimer{quiescence};
    std::unique_ptr<forwarding::Configuration> configuration =
        std::make_unique<forwarding::Configuration>();
    FakeTracker tracker;
    ControlPlane control{
        *configuration, reclaimer, access(), tracker,
        [](const std::string& name) -> std::optional<std::uint32_t> {
            if (name == "eth0") return 1500;
            return std::nullopt;
        }
    };

    std::vector<WorkerAccess> access() {
        std::vector<WorkerAccess> result;
        for (const auto& worker : workers) {
            result.push_back({&worker->counters, &worker->schedulers, nullptr, {}});
        }
        return result;
    }

    const forwarding::Service* published(const ipvs::ServiceKey& key) const {
        return configuration->services.find(key);
    }

    forwarding::DestinationSlot& slot(forwarding::DestinationId id) {
        return configuration->destinations[id.value];
    }
};

inline net::Port port_of(std::uint16_t number) { return net::Port{number}; }

inline ipvs::ServiceKey tcp_service(const char* address, std::uint16_t number) {
    return ipvs::EndpointKey{6, *net::parse_ip_address(address), port_of(number)};
}

inline ipvs::ServiceSpec scheduled_by(std::string name) {
    ipvs::ServiceSpec spec;
    spec.scheduler = std::move(name);
    return spec;
}

inline ipvs::DestinationSpec masqueraded(const char* address, std::uint16_t number = 80) {
    ipvs::DestinationSpec spec;
    spec.key = {*net::parse_ip_address(address), port_of(number)};
    spec.forwarding = 0;
    spec.weight = 1;
    return spec;
}

}  // namespace nlvs::daemon
