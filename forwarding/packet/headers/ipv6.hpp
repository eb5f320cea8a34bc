#pragma once

#include "compat/net/ip_address.hpp"
#include "forwarding/packet/headers/field.hpp"

#include <cstddef>
#include <cstdint>

namespace nlvs::forwarding {

/// RFC 8200.
struct Ipv6Header {
    Field32 version_class_label;
    Field16 payload_length;
    std::uint8_t next_header;
    std::uint8_t hop_limit;
    Field<net::Ipv6Address> source;
    Field<net::Ipv6Address> destination;

    static constexpr std::uint32_t version_6 = 0x60000000;
    static constexpr std::uint32_t flow_label_mask = 0x000FFFFF;

    unsigned version() const noexcept { return version_class_label.host() >> 28; }

    std::uint8_t traffic_class() const noexcept {
        return static_cast<std::uint8_t>(version_class_label.host() >> 20);
    }
};

static_assert(sizeof(Ipv6Header) == 40 && alignof(Ipv6Header) == 1);

/// Numbers of the headers that may stand between the fixed header and the transport.
enum class Ipv6Extension : std::uint8_t {
    hop_by_hop = 0,
    routing = 43,
    fragment = 44,
    authentication = 51,
    none = 59,
    destination_options = 60,
};

/// The common beginning of every extension header but the fragment header.
struct Ipv6ExtensionHeader {
    std::uint8_t next_header;
    std::uint8_t
        length;  ///< beyond the first eight bytes, in eights; authentication: in fours less 2
};

static_assert(sizeof(Ipv6ExtensionHeader) == 2);

struct Ipv6FragmentHeader {
    std::uint8_t next_header;
    std::uint8_t reserved;
    Field16 offset_and_flags;
    Field32 identification;

    static constexpr std::uint16_t more_fragments = 0x0001;
    static constexpr std::uint16_t offset_mask = 0xFFF8;  ///< bytes
};

static_assert(sizeof(Ipv6FragmentHeader) == 8 && alignof(Ipv6FragmentHeader) == 1);

}  // namespace nlvs::forwarding
