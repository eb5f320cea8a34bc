#pragma once

#include "compat/net/ip_address.hpp"
#include "compat/net/ip_protocol.hpp"
#include "forwarding/packet/headers/field.hpp"

#include <cstddef>
#include <cstdint>

namespace nlvs::forwarding {

/// RFC 791.
struct Ipv4Header {
    std::uint8_t version_and_length;
    std::uint8_t type_of_service;
    Field16 total_length;
    Field16 identification;
    Field16 fragment;  ///< flags and offset
    std::uint8_t time_to_live;
    std::uint8_t protocol;
    Field16 checksum;
    Field<net::Ipv4Address> source;
    Field<net::Ipv4Address> destination;

    static constexpr std::uint8_t version_4_no_options = 0x45;
    static constexpr std::uint16_t dont_fragment = 0x4000;
    static constexpr std::uint16_t more_fragments = 0x2000;
    static constexpr std::uint16_t offset_mask = 0x1FFF;  ///< in units of eight bytes
    static constexpr std::size_t maximum_length = 60;

    unsigned version() const noexcept { return version_and_length >> 4; }

    /// Header length in bytes, options included.
    std::size_t length() const noexcept { return (version_and_length & 0x0FU) * std::size_t{4}; }

    bool may_be_fragmented() const noexcept { return (fragment.host() & dont_fragment) == 0; }

    bool is_fragment() const noexcept {
        return (fragment.host() & (more_fragments | offset_mask)) != 0;
    }

    bool is_later_fragment() const noexcept { return (fragment.host() & offset_mask) != 0; }
};

static_assert(sizeof(Ipv4Header) == 20 && alignof(Ipv4Header) == 1);
static_assert(offsetof(Ipv4Header, checksum) == 10 && offsetof(Ipv4Header, destination) == 16);

}  // namespace nlvs::forwarding
