#pragma once

#include "forwarding/packet/headers/field.hpp"

#include <cstdint>

namespace nlvs::forwarding {

/// Generic UDP encapsulation, version 0. Linux: include/net/gue.h struct guehdr.
struct GueHeader {
    std::uint8_t version_control_length;  ///< 2 bits, 1 bit, 5 bits (option words)
    std::uint8_t protocol;                ///< IP protocol of the payload
    Field16 flags;
};

static_assert(sizeof(GueHeader) == 4 && alignof(GueHeader) == 1);

}  // namespace nlvs::forwarding
