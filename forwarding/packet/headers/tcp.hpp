#pragma once

#include "compat/net/port.hpp"
#include "forwarding/packet/headers/field.hpp"

#include <cstddef>
#include <cstdint>

namespace nlvs::forwarding {

/// RFC 9293.
struct TcpHeader {
    Field<net::Port> source_port;
    Field<net::Port> destination_port;
    Field32 sequence;
    Field32 acknowledgement;
    std::uint8_t data_offset;  ///< upper four bits, in words
    std::uint8_t flags;        ///< TcpFlags
    Field16 window;
    Field16 checksum;
    Field16 urgent_pointer;

    /// Header length in bytes, options included.
    std::size_t length() const noexcept { return (data_offset >> 4) * std::size_t{4}; }
};

static_assert(sizeof(TcpHeader) == 20 && alignof(TcpHeader) == 1);
static_assert(offsetof(TcpHeader, checksum) == 16);

}  // namespace nlvs::forwarding
