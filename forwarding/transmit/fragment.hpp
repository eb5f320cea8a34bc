#pragma once

#include "compat/net/ip_address.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

#include <rte_mbuf.h>

namespace nlvs::forwarding {

/// The pieces of one packet, in order; the receiver of a FragmentTrain owns them.
struct FragmentTrain {
    /// 65535 bytes over the smallest MTU that real links have.
    static constexpr std::size_t capacity = 128;

    std::size_t size = 0;
    std::array<rte_mbuf*, capacity> packets;
};

/// The most that pieces may measure, IP header included.
struct PieceSizes {
    std::size_t first, others;

    constexpr PieceSizes(std::size_t of_all) noexcept : first{of_all}, others{of_all} {}  // NOLINT

    constexpr PieceSizes(std::size_t of_first, std::size_t of_others) noexcept
        : first{of_first}, others{of_others} {}
};

/// Copies an IP packet into fragments of at most those sizes, each in one mbuf of the packet's
/// pool whose data starts at the IP header. The packet itself, whose IP header is at `l3_offset`,
/// is left to the caller. False (and no fragment) if an mbuf is missing, the sizes leave no room
/// for data, or the pieces are too many.
///
/// As Linux does it: every fragment but the last carries the most that is a multiple of eight
/// bytes; IPv4 options that belong into the first fragment only become no-operations in the
/// others; a set DF bit stays (Linux: a reassembled packet of DF fragments).
/// Linux: net/ipv4/ip_output.c ip_do_fragment, net/ipv6/ip6_output.c ip6_fragment.
[[nodiscard]] bool fragment_ipv4(
    const rte_mbuf* packet, std::size_t l3_offset, PieceSizes sizes, FragmentTrain& train
) noexcept;

/// The same for IPv6, which only a source may do: a tunnel's outer packet, or one that arrived in
/// fragments. `identification` goes into the fragment headers.
[[nodiscard]] bool fragment_ipv6(
    const rte_mbuf* packet,
    std::size_t l3_offset,
    PieceSizes sizes,
    std::uint32_t identification,
    FragmentTrain& train
) noexcept;

}  // namespace nlvs::forwarding
