#pragma once

#include "forwarding/packet/headers/field.hpp"

#include <cstdint>

namespace nlvs::forwarding {

/// RFC 2784, with its optional checksum word apart.
struct GreHeader {
    Field16 flags_and_version;
    Field16 protocol;  ///< an EtherType

    static constexpr std::uint16_t checksum_present = 0x8000;
    static constexpr std::uint16_t key_present = 0x2000;  ///< RFC 2890
};

static_assert(sizeof(GreHeader) == 4 && alignof(GreHeader) == 1);

struct GreChecksum {
    Field16 checksum;
    Field16 reserved;
};

static_assert(sizeof(GreChecksum) == 4 && alignof(GreChecksum) == 1);

}  // namespace nlvs::forwarding
