#pragma once

#include "forwarding/packet/headers/field.hpp"

#include <cstdint>

namespace nlvs::forwarding {

/// RFC 792 types that the data path reads or sends.
enum class IcmpType : std::uint8_t {
    echo_reply = 0,
    destination_unreachable = 3,
    source_quench = 4,
    redirect = 5,
    echo_request = 8,
    time_exceeded = 11,
    parameter_problem = 12,
};

/// Codes of destination_unreachable.
enum class IcmpUnreachable : std::uint8_t {
    network = 0,
    host = 1,
    protocol = 2,
    port = 3,
    fragmentation_needed = 4,
    administratively_prohibited = 13,
};

struct IcmpHeader {
    std::uint8_t type;
    std::uint8_t code;
    Field16 checksum;
    Field16 unused;
    Field16 next_hop_mtu;  ///< fragmentation_needed (RFC 1191), else 0 or the type's own
};

static_assert(sizeof(IcmpHeader) == 8 && alignof(IcmpHeader) == 1);

}  // namespace nlvs::forwarding
