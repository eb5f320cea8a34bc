#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

/// Blocks of a capture file in the pcapng format (draft-ietf-opsawg-pcapng), appended to a string.
/// Multi-byte fields are in the host's byte order, which the first block tells. Times are nanoseconds
/// since 1970.
namespace nlvs::daemon::pcapng {

/// Types that a reader of the stream has to know.
inline constexpr std::uint32_t statistics_block = 5;
inline constexpr std::uint32_t packet_block = 6;

/// Of the options of a statistics block: packets that the capture lost (isb_osdrop).
inline constexpr std::uint16_t option_lost = 7;

enum class Direction : std::uint8_t { inbound = 1, outbound = 2 };

struct Packet {
    std::uint32_t interface = 0;  ///< in the order of their blocks
    std::uint64_t time = 0;
    std::uint32_t length = 0;  ///< on the wire; the bytes may be fewer
    Direction direction = Direction::inbound;
};

/// The first block.
void append_section(std::string& out, std::string_view application);

/// An Ethernet interface, of whose packets up to `snap` bytes follow.
void append_interface(
    std::string& out, std::string_view name, std::string_view description, std::uint32_t snap
);

void append_packet(std::string& out, const Packet& packet, std::span<const std::byte> bytes);

/// What a capture has to say of an interface at its end.
void append_statistics(
    std::string& out, std::uint32_t interface, std::uint64_t time, std::uint64_t lost
);

}  // namespace nlvs::daemon::pcapng
