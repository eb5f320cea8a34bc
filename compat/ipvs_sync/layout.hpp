#pragma once

#include <cstddef>
#include <cstdint>

#include "compat/net/big_endian.hpp"

namespace nlvs::ipvs_sync {

/// The messages of the sync daemons. Linux: ip_vs_sync.c struct ip_vs_sync_mesg and the structs
/// around it.

/// Version 0 ends behind `size`.
struct Header {
    std::uint8_t connections_v0 = 0;  ///< version 1: 0, which says nothing to an old receiver
    std::uint8_t sync_id = 0;
    net::Be16 size;
    std::uint8_t connections = 0;
    std::uint8_t version = 0;
    net::Be16 spare;
};

inline constexpr std::size_t header_size_v0 = 4;
inline constexpr std::uint8_t version_1 = 1;

struct EntryV0 {
    std::uint8_t reserved = 0;
    std::uint8_t protocol = 0;
    net::Be16 client_port;
    net::Be16 virtual_port;
    net::Be16 destination_port;
    net::Be32 client;
    net::Be32 virtual_address;
    net::Be32 destination;
    net::Be16 flags;
    net::Be16 state;
};

/// The addresses follow: client, virtual, destination. Then come the options.
struct Entry {
    std::uint8_t type = 0;
    std::uint8_t protocol = 0;
    net::Be16 version_and_size;
    net::Be32 flags;
    net::Be16 state;
    net::Be16 client_port;
    net::Be16 virtual_port;
    net::Be16 destination_port;
    net::Be32 firewall_mark;
    net::Be32 timeout;
};

// Every member is aligned by itself, and loads and stores go byte by byte.
static_assert(sizeof(Header) == 8 && sizeof(EntryV0) == 24 && sizeof(Entry) == 24);

inline constexpr std::size_t entry_size_v4 = sizeof(Entry) + 3 * 4;
inline constexpr std::size_t entry_size_v6 = sizeof(Entry) + 3 * 16;
inline constexpr std::uint8_t type_v6 = 1;
inline constexpr std::uint16_t size_mask = 0x0FFF;
inline constexpr unsigned version_shift = 12;

enum class Option : std::uint8_t { sequences = 1, engine_data = 2, engine = 3 };

/// Whoever does not know an option with this bit may pass over it.
inline constexpr std::uint8_t optional_bit = 0x40;
inline constexpr std::size_t option_header = 2;
inline constexpr std::size_t sequences_size = 6 * 4;
inline constexpr std::size_t longest_engine = 16;
inline constexpr std::size_t longest_engine_data = 255;

}  // namespace nlvs::ipvs_sync
