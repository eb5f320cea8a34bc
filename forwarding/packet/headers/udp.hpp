#pragma once

#include "compat/net/port.hpp"
#include "forwarding/packet/headers/field.hpp"

#include <cstddef>

namespace nlvs::forwarding {

/// RFC 768.
struct UdpHeader {
    Field<net::Port> source_port;
    Field<net::Port> destination_port;
    Field16 length;    ///< header and payload
    Field16 checksum;  ///< 0: the sender computed none
};

static_assert(sizeof(UdpHeader) == 8 && alignof(UdpHeader) == 1);
static_assert(offsetof(UdpHeader, checksum) == 6);

}  // namespace nlvs::forwarding
