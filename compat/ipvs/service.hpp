#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <variant>

#include "compat/ipvs/statistics.hpp"
#include "compat/net/ip_address.hpp"
#include "compat/net/ip_protocol.hpp"
#include "compat/net/port.hpp"

namespace nlvs::ipvs {

using net::Family;
using net::IpAddress;
using net::Port;

/// A service found by protocol, virtual address and port. The protocol is not validated: the
/// kernel stores and echoes any number.
struct EndpointKey {
    std::uint16_t protocol = 0;
    IpAddress address;
    Port port;

    friend auto operator<=>(const EndpointKey&, const EndpointKey&) = default;
};

/// A service found by the packet's firewall mark (never 0).
struct FirewallMarkKey {
    Family family = Family::inet;
    std::uint32_t mark = 0;

    friend auto operator<=>(const FirewallMarkKey&, const FirewallMarkKey&) = default;
};

using ServiceKey = std::variant<EndpointKey, FirewallMarkKey>;

inline Family family_of(const ServiceKey& key) noexcept {
    if (const auto* endpoint = std::get_if<EndpointKey>(&key)) return endpoint->address.family();
    return std::get<FirewallMarkKey>(key).family;
}

/// Linux: IP_VS_SVC_F_*. Kept as a word because unknown bits are stored and echoed.
struct ServiceFlags {
    std::uint32_t word = 0;

    static constexpr std::uint32_t persistent = 0x01;
    static constexpr std::uint32_t hashed = 0x02;
    static constexpr std::uint32_t one_packet = 0x04;
    static constexpr std::uint32_t scheduler_1 = 0x08;  ///< sh-fallback, mh-fallback
    static constexpr std::uint32_t scheduler_2 = 0x10;  ///< sh-port, mh-port
    static constexpr std::uint32_t scheduler_3 = 0x20;

    constexpr bool has(std::uint32_t flag) const noexcept { return (word & flag) != 0; }

    friend constexpr bool operator==(ServiceFlags, ServiceFlags) = default;
};

/// What a service by mark was given besides its mark. Only the socket options can give it and show
/// it, and of it they compare the protocol; through netlink it is always this.
/// Linux: ip_vs_ctl.c do_ip_vs_set_ctl, ip_vs_genl_parse_service.
struct BesideMark {
    std::uint16_t protocol = static_cast<std::uint16_t>(net::IpProtocol::tcp);
    net::Ipv4Address address;
    Port port;

    friend bool operator==(const BesideMark&, const BesideMark&) = default;
};

/// What the "full" form of a service says beyond its key. In a request `flags` and `flags_mask`
/// are merged into the existing word; in a view the mask is ~0.
struct ServiceSpec {
    std::string scheduler;           ///< "none" = no scheduler
    std::string persistence_engine;  ///< empty = none
    ServiceFlags flags;
    std::uint32_t flags_mask = ~0U;
    std::uint32_t timeout = 0;  ///< persistence timeout, s
    /// IPv4: the mask in network order as the attribute carries it (Be32::wire()); IPv6: a
    /// prefix length in host order.
    std::uint32_t netmask = ~0U;
    BesideMark beside_mark{};  ///< given by the addition; an edit does not change it

    friend bool operator==(const ServiceSpec&, const ServiceSpec&) = default;
};

/// One service as listings show it.
struct ServiceView {
    ServiceKey key;
    ServiceSpec spec;
    std::uint32_t destinations = 0;
    Statistics statistics;

    friend bool operator==(const ServiceView&, const ServiceView&) = default;
};

}  // namespace nlvs::ipvs
