#pragma once

#include "compat/net/ip_address.hpp"

namespace nlvs::forwarding {

/// Is the address, as far as it tells by itself, one host's? 224/4, 240/4 (with the limited
/// broadcast) and 0/8 are not.
inline bool is_unicast(net::Ipv4Address a) noexcept {
    return a.host() < 0xE0000000 && a.host() >> 24 != 0;
}

inline bool is_unicast(const net::Ipv6Address& a) noexcept {
    return a.bytes()[0] != 0xFF && a != net::Ipv6Address{};
}

}  // namespace nlvs::forwarding
