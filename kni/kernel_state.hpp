#pragma once

#include "kni/rtnetlink/event.hpp"

#include <cstdint>
#include <cstring>
#include <unordered_map>
#include <vector>

namespace nlvs::kni {

struct AddressKey {
    std::uint32_t interface = 0;
    net::IpAddress address;
    std::uint8_t length = 0;

    friend bool operator==(const AddressKey&, const AddressKey&) = default;
};

struct NeighbourKey {
    std::uint32_t interface = 0;
    net::IpAddress address;

    friend bool operator==(const NeighbourKey&, const NeighbourKey&) = default;
};

/// For every key of the state.
struct KeyHash {
    static std::size_t mix(const net::IpAddress& address, std::uint64_t salt) noexcept {
        std::uint64_t words[2];
        std::memcpy(words, address.bytes().data(), sizeof(words));
        std::uint64_t hash = (words[0] + salt + 1) * 0x9E3779B97F4A7C15ULL;
        hash = (hash ^ (hash >> 29) ^ words[1]) * 0xBF58476D1CE4E5B9ULL;
        return hash ^ (hash >> 32);
    }

    std::size_t operator()(const net::Prefix& prefix) const noexcept {
        return mix(prefix.address(), prefix.length());
    }

    std::size_t operator()(const AddressKey& key) const noexcept {
        return mix(key.address, (std::uint64_t{key.interface} << 8) | key.length);
    }

    std::size_t operator()(const NeighbourKey& key) const noexcept {
        return mix(key.address, key.interface);
    }
};

/// A mirrored object and the dump that last confirmed it.
template <class T>
struct Marked {
    T value;
    std::uint32_t generation = 0;
};

/// What Linux says, as plain values. Routes to one prefix stand in the order in which the kernel
/// tries them within a table: type of service, priority, then its own order among equals.
/// Thread: control.
struct KernelState {
    std::unordered_map<std::uint32_t, Marked<Link>> links;
    std::unordered_map<std::uint32_t, Marked<NextHopObject>> next_hops;
    std::unordered_map<AddressKey, Marked<Address>, KeyHash> addresses;
    std::unordered_map<NeighbourKey, Marked<Neighbour>, KeyHash> neighbours;
    std::unordered_map<net::Prefix, std::vector<Marked<Route>>, KeyHash> routes;
    std::vector<Marked<Rule>> rules;

    const Link* link(std::uint32_t index) const {
        const auto found = links.find(index);
        return found == links.end() ? nullptr : &found->second.value;
    }

    const Neighbour* neighbour(const NeighbourKey& key) const {
        const auto found = neighbours.find(key);
        return found == neighbours.end() ? nullptr : &found->second.value;
    }

    /// The ways of a route, those of its next-hop object when it has one.
    std::vector<RouteHop> hops_of(const Route& route) const;
    /// The route's next-hop object drops packets.
    bool is_blackhole(const Route& route) const;
};

}  // namespace nlvs::kni
