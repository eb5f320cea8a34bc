#pragma once

#include "compat/net/ip_address.hpp"
#include "compat/net/port.hpp"

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace nlvs::forwarding {

/// Address type of a family at compile time.
struct V4 {
    using Address = net::Ipv4Address;
    static constexpr net::Family family = net::Family::inet;
};

struct V6 {
    using Address = net::Ipv6Address;
    static constexpr net::Family family = net::Family::inet6;
};

/// The five-tuple of a packet, from its own point of view.
template <class FamilyTag>
struct FlowKey {
    typename FamilyTag::Address source;
    typename FamilyTag::Address destination;
    net::Port source_port;
    net::Port destination_port;
    std::uint8_t protocol = 0;

    friend bool operator==(const FlowKey&, const FlowKey&) = default;

    /// The same flow seen from the other end; ICMP errors embed it.
    constexpr FlowKey inverted() const noexcept {
        return {destination, source, destination_port, source_port, protocol};
    }
};

// A header has both addresses, and both ports, in this order and together: parsing moves them in
// one go, and the hash reads them so.
static_assert(offsetof(FlowKey<V4>, destination) == 4 && offsetof(FlowKey<V4>, source_port) == 8);
static_assert(offsetof(FlowKey<V6>, destination) == 16 && offsetof(FlowKey<V6>, source_port) == 32);
static_assert(offsetof(FlowKey<V4>, destination_port) == 10);

/// Which way a packet of a connection goes.
enum class Direction : std::uint8_t { request, reply };

}  // namespace nlvs::forwarding
