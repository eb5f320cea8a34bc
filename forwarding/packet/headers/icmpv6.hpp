#pragma once

#include "forwarding/packet/headers/field.hpp"

#include <cstdint>

namespace nlvs::forwarding {

/// RFC 4443 types. Every type below 128 is an error and embeds the packet it is about.
enum class Icmpv6Type : std::uint8_t {
    destination_unreachable = 1,
    packet_too_big = 2,
    time_exceeded = 3,
    parameter_problem = 4,
    echo_request = 128,
    echo_reply = 129,
};

/// Codes of destination_unreachable.
enum class Icmpv6Unreachable : std::uint8_t {
    no_route = 0,
    administratively_prohibited = 1,
    address = 3,
    port = 4,
};

struct Icmpv6Header {
    std::uint8_t type;
    std::uint8_t code;
    Field16 checksum;
    Field32 parameter;  ///< packet_too_big: the MTU; else 0 or the type's own

    static constexpr std::uint8_t first_informational = 128;
};

static_assert(sizeof(Icmpv6Header) == 8 && alignof(Icmpv6Header) == 1);

}  // namespace nlvs::forwarding
