#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "compat/net/ip_protocol.hpp"
#include "compat/net/mac_address.hpp"
#include "forwarding/config/adjacency.hpp"
#include "forwarding/config/destination.hpp"
#include "forwarding/config/ftp_ports.hpp"
#include "forwarding/config/ingress.hpp"
#include "forwarding/config/own_addresses.hpp"
#include "forwarding/config/published.hpp"
#include "forwarding/config/published_table.hpp"
#include "forwarding/config/routing_policy.hpp"
#include "forwarding/config/service.hpp"
#include "forwarding/config/settings.hpp"
#include "forwarding/config/tunnel_table.hpp"
#include "forwarding/marks/program.hpp"

namespace nlvs::forwarding {

/// 64-bit mix of two words; for control tables, not for the connection table (which is seeded).
constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
    const auto product = static_cast<unsigned __int128>(a ^ 0x9E3779B97F4A7C15ULL) * (b ^ 0xD6E8FEB86659FD93ULL);
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

inline std::uint64_t hash_address(const net::IpAddress& address) noexcept {
    std::uint64_t words[2];
    std::memcpy(words, address.bytes().data(), sizeof(words));
    return mix(words[0], words[1] + static_cast<std::uint64_t>(address.family()));
}

struct ServiceTraits {
    static std::uint64_t hash(const ipvs::ServiceKey& key) noexcept {
        if (const auto* endpoint = std::get_if<ipvs::EndpointKey>(&key)) {
            return mix(
                hash_address(endpoint->address),
                (std::uint64_t{endpoint->port.host()} << 16) | endpoint->protocol
            );
        }
        const auto& mark = std::get<ipvs::FirewallMarkKey>(key);
        return mix(mark.mark, static_cast<std::uint64_t>(mark.family));
    }

    static const ipvs::ServiceKey& key(const Service& service) noexcept { return service.key; }
};

/// Services by exact key. Port-0 and firewall-mark fall-backs are the pipeline's business.
using ServiceTable = PublishedTable<ipvs::ServiceKey, Service, ServiceTraits>;

struct NeighbourKey {
    std::uint32_t interface = 0;  ///< kernel ifindex
    net::IpAddress address;

    friend bool operator==(const NeighbourKey&, const NeighbourKey&) = default;
};

/// Leads from a neighbour's address to its adjacency slot.
struct Neighbour {
    NeighbourKey key;
    AdjacencyId adjacency;
    AdjacencySlot* slot = nullptr;
};

struct NeighbourTraits {
    static std::uint64_t hash(const NeighbourKey& key) noexcept {
        return mix(hash_address(key.address), key.interface);
    }

    static const NeighbourKey& key(const Neighbour& neighbour) noexcept { return neighbour.key; }
};

using NeighbourTable = PublishedTable<NeighbourKey, Neighbour, NeighbourTraits>;

/// The address and port of a masquerade destination, per protocol: tells a reply from a real
/// server from other traffic before a connection is found. Several services may share one.
struct RealServerKey {
    std::uint8_t protocol = 0;
    net::IpAddress address;
    net::Port port;

    friend bool operator==(const RealServerKey&, const RealServerKey&) = default;
};

struct RealServer {
    RealServerKey key;
    std::uint32_t services = 0;  ///< how many destinations share it
};

struct RealServerTraits {
    static std::uint64_t hash(const RealServerKey& key) noexcept {
        return mix(hash_address(key.address), (std::uint64_t{key.port.host()} << 16) | key.protocol);
    }

    static const RealServerKey& key(const RealServer& server) noexcept { return server.key; }
};

using RealServerTable = PublishedTable<RealServerKey, RealServer, RealServerTraits>;

/// A masqueraded UDP server of a service with a persistence engine: what it sends without being
/// asked begins a connection of the service. Linux: ip_vs_core.c __ip_vs_rs_conn_out.
struct CallingServer {
    RealServerKey key;
    ipvs::ServiceKey service;
    DestinationId destination;
};

struct CallingServerTraits {
    static std::uint64_t hash(const RealServerKey& key) noexcept { return RealServerTraits::hash(key); }

    static const RealServerKey& key(const CallingServer& server) noexcept { return server.key; }
};

using CallingServerTable = PublishedTable<RealServerKey, CallingServer, CallingServerTraits>;

/// One port as workers must know it. Written by control, relaxed.
struct PortState {
    std::atomic<bool> up{false};              ///< admin state of the shadow interface
    std::atomic<std::uint32_t> interface{0};  ///< its ifindex
    std::atomic<std::uint16_t> mtu{1500};
    std::atomic<std::uint64_t> mac{0};        ///< station_word(); 0 while not known
};

/// Everything a worker may read. Built and changed by control only.
/// Thread: tables as documented in each.
struct Configuration {
    ServiceTable services;
    /// How many services have each special form; lets a miss skip useless lookups.
    std::atomic<std::uint32_t> any_port_services{0};
    std::atomic<std::uint32_t> firewall_mark_services{0};
    std::atomic<std::uint32_t> ftp_services{0};
    std::atomic<std::uint32_t> services_v4{0};
    std::atomic<std::uint32_t> services_v6{0};

    /// Whether there is a service of that family.
    bool serves(net::Family family) const noexcept {
        const auto& of_family = family == net::Family::inet ? services_v4 : services_v6;
        return of_family.load(std::memory_order_relaxed) != 0;
    }

    /// Some destination is, or was, an address of the host: what the host sends may belong to a
    /// connection. Stays set, as connections outlive their destinations.
    std::atomic<bool> serves_locally{false};
    /// Connections of another director are, or were, taken in: each by the owner of its client's
    /// endpoint, wherever its packets come in. Stays set, as they outlive the sync daemon.
    std::atomic<bool> takes_synced{false};
    DestinationTable destinations;
    RealServerTable real_servers;
    /// How many of them answer from any port (key port 0).
    std::atomic<std::uint32_t> any_port_servers{0};
    FtpPorts ftp_ports;
    CallingServerTable calling_servers;
    std::atomic<std::uint32_t> calling_server_count{0};
    RoutingPolicy routes_v4{net::Family::inet};
    RoutingPolicy routes_v6{net::Family::inet6};
    NeighbourTable neighbours;
    AdjacencyTable adjacencies;
    IngressTable ingress;
    TunnelIngressTable tunnels;
    std::atomic<std::uint32_t> tunnel_count{0};
    /// Grows by one with every change of routes or neighbour slots; a connection's cached next
    /// hop is good only while it matches.
    std::atomic<std::uint32_t> routing_generation{0};
    /// Packets of the family that no service wants are routed here. PlainRouter tells which.
    std::atomic<bool> forwards_v4{false};
    std::atomic<bool> forwards_v6{false};
    Published<Settings> settings;
    /// What the kernel's rules say about firewall marks; null when none sets one.
    Published<MarkProgram> marks_v4;
    Published<MarkProgram> marks_v6;
    Published<OwnAddresses> own_addresses;

    template <class F>
    const RoutingPolicy& routes() const noexcept {
        return F::family == net::Family::inet ? routes_v4 : routes_v6;
    }

    std::array<PortState, max_ports> ports;
};

}  // namespace nlvs::forwarding
