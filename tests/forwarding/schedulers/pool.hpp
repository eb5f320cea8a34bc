#pragma once

#include "forwarding/schedulers/schedule_builder.hpp"
#include "forwarding/schedulers/scheduler.hpp"

#include <deque>
#include <string>
#include <vector>

namespace nlvs::forwarding::test {

/// A service with its destinations, changed as the daemon's registry would, and one worker's
/// scheduler state. Destinations are named by letters: 'A' is 10.0.0.11:80, 'B' 10.0.0.12:80 …
struct Pool {
    explicit Pool(SchedulerKind kind, net::IpAddress address = net::Ipv4Address{0x0A000001U}) {
        service.key = ipvs::EndpointKey{6, address, net::Port{80}};
        service.scheduler = kind;
        builder.bind(service);
    }

    /// Binds the scheduler to a pool that already has `weights`, 'A' first in the list.
    Pool(SchedulerKind kind, const std::vector<std::int32_t>& weights) : Pool{kind} {
        for (auto i = weights.size(); i-- > 0;) push_front(static_cast<char>('A' + i), weights[i]);
        builder.bind(service);
    }

    /// Builds the same list by adding one after the other, 'A' last.
    static Pool one_by_one(SchedulerKind kind, const std::vector<std::int32_t>& weights) {
        Pool pool{kind};
        for (auto i = weights.size(); i-- > 0;) {
            pool.add(static_cast<char>('A' + i), weights[i]);
        }
        return pool;
    }

    DestinationSlot& slot(char name) { return slots.at(static_cast<std::size_t>(name - 'A')); }

    void add(char name, std::int32_t weight) {
        const Service previous = service;
        push_front(name, weight);
        builder.destination_changed(service, previous);
    }

    void set_weight(char name, std::int32_t weight) {
        const Service previous = service;
        for (auto& destination : service.destinations) {
            if (destination.id != id_of(name)) continue;
            destination.weight = weight;
            if (weight != 0) destination.last_weight = weight;
        }
        slot(name).weight = weight;
        builder.destination_changed(service, previous);
    }

    void remove(char name) {
        const Service previous = service;
        std::erase_if(service.destinations, [&](const auto& d) { return d.id == id_of(name); });
        slot(name).available = false;
        builder.destination_removed(service, previous);
    }

    char pick(SchedulerState& state) { return name_of(forwarding::pick(service, input, state)); }

    char pick() { return pick(own_state); }

    std::string picks(std::size_t count) { return picks(count, own_state); }

    std::string picks(std::size_t count, SchedulerState& state) {
        std::string result;
        for (std::size_t i = 0; i < count; ++i) result += pick(state);
        return result;
    }

    static DestinationId id_of(char name) { return {static_cast<std::uint32_t>(name - 'A')}; }

    static char name_of(const ServiceDestination* destination) {
        return destination == nullptr ? '-' : static_cast<char>('A' + destination->id.value);
    }

    ScheduleBuilder builder;
    Service service;
    std::deque<DestinationSlot> slots = std::deque<DestinationSlot>(32);
    SchedulerState own_state;
    RandomSource random{1};
    ipvs::Sysctls sysctls;
    ScheduleInput input{
        net::Ipv4Address{0xC0A8014DU},
        net::Ipv4Address{0x0A000001U},
        net::Port{40000},
        6,
        random,
        sysctls,
        Time{},
    };

private:
    void push_front(char name, std::int32_t weight) {
        auto& slot_of_new = slot(name);
        slot_of_new.weight = weight;
        slot_of_new.available = true;
        ServiceDestination destination;
        destination.id = id_of(name);
        destination.slot = &slot_of_new;
        destination.address =
            net::Ipv4Address{0x0A00000BU + static_cast<std::uint32_t>(name - 'A')};
        destination.port = net::Port{80};
        destination.weight = weight;
        destination.last_weight = weight;
        service.destinations.insert(service.destinations.begin(), destination);
    }
};

}  // namespace nlvs::forwarding::test
