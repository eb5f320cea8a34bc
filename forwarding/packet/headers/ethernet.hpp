#pragma once

#include "compat/net/mac_address.hpp"
#include "forwarding/packet/headers/field.hpp"

#include <cstdint>

namespace nlvs::forwarding {

/// IEEE 802 numbers the data path knows. Values below 0x0600 are lengths, not types.
enum class EtherType : std::uint16_t {
    ipv4 = 0x0800,
    arp = 0x0806,
    vlan = 0x8100,  ///< 802.1Q
    ipv6 = 0x86DD,
    qinq = 0x88A8,  ///< 802.1ad
};

struct EthernetHeader {
    net::MacAddress destination;
    net::MacAddress source;
    Field16 ether_type;

    EtherType type() const noexcept { return EtherType{ether_type.host()}; }
};

static_assert(sizeof(EthernetHeader) == 14 && alignof(EthernetHeader) == 1);

/// What follows an EtherType of vlan or qinq.
struct VlanTag {
    Field16 tci;  ///< priority 3 bits, drop eligible 1, identifier 12
    Field16 ether_type;

    EtherType type() const noexcept { return EtherType{ether_type.host()}; }
};

static_assert(sizeof(VlanTag) == 4 && alignof(VlanTag) == 1);

}  // namespace nlvs::forwarding
