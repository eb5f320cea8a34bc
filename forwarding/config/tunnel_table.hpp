#pragma once

#include <cstdint>
#include <cstring>

#include "compat/net/ip_address.hpp"
#include "forwarding/config/ingress.hpp"
#include "forwarding/config/published_table.hpp"

namespace nlvs::forwarding {

/// What an outer packet says of the tunnel it comes through.
struct TunnelKey {
    net::IpAddress local;   ///< its destination; any: the device takes all of the host's addresses
    net::IpAddress remote;  ///< its source
    std::uint32_t key = 0;  ///< GRE
    std::uint8_t protocol = 0;
    bool keyed = false;

    friend bool operator==(const TunnelKey&, const TunnelKey&) = default;
};

/// The tunnel device that receives such packets. Linux: ip_tunnel.c ip_tunnel_lookup; the devices
/// that take packets from anybody stay the kernel's.
/// Thread: immutable.
struct TunnelIngress {
    TunnelKey key;
    std::uint32_t interface = 0;  ///< kernel ifindex
    std::uint32_t input = 0;      ///< what rules see: the interface, or the VRF it is a member of
    std::uint32_t vrf_table = 0;
};

struct TunnelIngressTraits {
    static std::uint64_t hash(const TunnelKey& key) noexcept {
        std::uint64_t words[4];
        std::memcpy(words, key.local.bytes().data(), 16);
        std::memcpy(words + 2, key.remote.bytes().data(), 16);
        std::uint64_t hash = (std::uint64_t{key.protocol} << 32) | key.key;
        for (const std::uint64_t word : words) hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
        return hash ^ (hash >> 32);
    }

    static const TunnelKey& key(const TunnelIngress& ingress) noexcept { return ingress.key; }
};

using TunnelIngressTable = PublishedTable<TunnelKey, TunnelIngress, TunnelIngressTraits>;

}  // namespace nlvs::forwarding
