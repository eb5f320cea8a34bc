#pragma once

#include "compat/net/big_endian.hpp"
#include "compat/net/bytes.hpp"
#include "compat/net/ip_address.hpp"
#include "compat/net/mac_address.hpp"
#include "compat/netlink/attribute.hpp"
#include "kni/rtnetlink/event.hpp"
#include "kni/rtnetlink/from_message.hpp"

#include <cstdint>
#include <expected>
#include <optional>

#include <sys/socket.h>

namespace nlvs::kni {

/// What the decoders of NETLINK_ROUTE messages share.

using Decoded = std::expected<Object, Ignored>;

/// The fixed header of a message and the attributes behind it.
template <class Header>
std::optional<Header> take_header(netlink::Bytes& payload) {
    const auto header = net::extract<Header>(payload);
    const std::size_t size = netlink::aligned(sizeof(Header));
    if (!header || payload.size() < size) return {};
    payload = payload.subspan(size);
    return header;
}

inline std::optional<net::IpAddress> address_of(netlink::Bytes bytes, std::uint8_t family) {
    if (family == AF_INET && bytes.size() >= 4) {
        return net::Ipv4Address{net::Be32::from_wire(net::load<std::uint32_t>(bytes.data()))};
    }
    if (family == AF_INET6 && bytes.size() >= 16) {
        return net::Ipv6Address{net::load<net::Ipv6Address::Bytes>(bytes.data())};
    }
    return {};
}

inline net::MacAddress mac_address_of(netlink::Bytes bytes) {
    return bytes.size() == 6 ? net::load<net::MacAddress>(bytes.data()) : net::MacAddress{};
}

inline net::IpAddress any_address(std::uint8_t family) {
    if (family == AF_INET6) return net::Ipv6Address{};
    return net::Ipv4Address{};
}

inline bool is_ip(std::uint8_t family) {
    return family == AF_INET || family == AF_INET6;
}

/// RTM_NEWLINK's, RTM_NEWROUTE's, RTM_NEWNEXTHOP's and RTM_NEWRULE's payload.
Decoded decode_link(netlink::Bytes payload);
Decoded decode_route(netlink::Bytes payload);
Decoded decode_next_hop(netlink::Bytes payload);
Decoded decode_rule(netlink::Bytes payload);

}  // namespace nlvs::kni
