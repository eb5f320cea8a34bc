#pragma once

// The kernel counts a shadow interface's own packets only: what was punted and injected. The NIC's
// figures are the daemon's, and front ends put them into what programs read about the interface.

#include <cstddef>
#include <cstdint>

namespace nlvs::shim {

/// What a NIC has counted; the file of these records says it of every shadow interface.
struct LinkCounters {
    std::uint32_t interface;  ///< index of the shadow interface
    std::uint32_t reserved;
    std::uint64_t received_packets;
    std::uint64_t received_bytes;
    std::uint64_t receive_errors;
    std::uint64_t missed;  ///< no free descriptor
    std::uint64_t transmitted_packets;
    std::uint64_t transmitted_bytes;
    std::uint64_t transmit_errors;
};

static_assert(sizeof(LinkCounters) == 64);

/// Beside the registration, an ordinary file that the daemon writes anew from time to time: who looks at
/// interfaces must never wait for it.
inline constexpr char link_counters_file[] = "links";

inline constexpr std::size_t max_links = 64;

/// Whether a datagram begins with a message about a link.
bool begins_with_link(const void* bytes, std::size_t size) noexcept;

/// Writes the NIC's figures over the kernel's in messages about these interfaces (IFLA_STATS and
/// IFLA_STATS64 of RTM_NEWLINK); everything else stays as it is. Linux: rtnetlink.c rtnl_fill_stats.
void amend_links(
    void* bytes, std::size_t size, const LinkCounters* links, std::size_t count
) noexcept;

}  // namespace nlvs::shim
