#pragma once

#include "compat/net/port.hpp"
#include "forwarding/packet/headers/field.hpp"

#include <cstddef>
#include <cstdint>

namespace nlvs::forwarding {

/// RFC 9260 common header.
struct SctpHeader {
    Field<net::Port> source_port;
    Field<net::Port> destination_port;
    Field32 verification_tag;
    /// CRC32c, transmitted low byte first (RFC 9260, appendix A); hence not a Field32.
    Field<std::uint32_t> checksum;
};

static_assert(sizeof(SctpHeader) == 12 && alignof(SctpHeader) == 1);

/// The beginning of every chunk.
struct SctpChunk {
    std::uint8_t type;
    std::uint8_t flags;
    Field16 length;
};

static_assert(sizeof(SctpChunk) == 4 && alignof(SctpChunk) == 1);

}  // namespace nlvs::forwarding
