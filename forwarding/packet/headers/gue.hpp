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

/// The option "remote checksum offload" with the word of private flags that announces it.
/// Linux: include/net/gue.h GUE_FLAG_PRIV, GUE_PFLAG_REMCSUM.
struct GueRemoteChecksum {
    Field32 private_flags;
    Field16 start;   ///< of what the checksum covers, from the inner packet's first byte
    Field16 offset;  ///< of the field

    static constexpr std::uint16_t has_private_flags = 0x0001;  ///< in GueHeader::flags
    static constexpr std::uint32_t remote_checksum = 0x80000000;
};

static_assert(sizeof(GueRemoteChecksum) == 8 && alignof(GueRemoteChecksum) == 1);

}  // namespace nlvs::forwarding
