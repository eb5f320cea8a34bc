#pragma once

#include <cstdint>

namespace nlvs::net {

/// IANA protocol numbers that the data path knows by name. Any other number is carried as is.
enum class IpProtocol : std::uint8_t {
    ip = 0,
    icmp = 1,
    ipip = 4,
    tcp = 6,
    udp = 17,
    ipv6 = 41,
    gre = 47,
    esp = 50,
    ah = 51,
    icmpv6 = 58,
    vrrp = 112,
    sctp = 132,
};

}  // namespace nlvs::net
