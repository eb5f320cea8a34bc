#pragma once

#include "compat/ipvs/destination.hpp"
#include "compat/net/ip_address.hpp"
#include "forwarding/config/destination.hpp"
#include "forwarding/config/tunnel_header.hpp"
#include "forwarding/packet/flow.hpp"
#include "forwarding/packet/headers/gue.hpp"
#include "forwarding/packet/headers/ipv6.hpp"
#include "forwarding/packet/partial_checksum.hpp"
#include "forwarding/transmit/fragment.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <rte_mbuf.h>

namespace nlvs::forwarding {

/// Encapsulation towards a tunnel destination.
///
/// Theory of operation. Control builds the outer header once (build_tunnel_header). For a packet
/// a worker prepends it and fills in what depends on the inner one:
///
///   outer field        from
///   type of service    inner DSCP and ECN, congestion experienced becomes ECT(0) (RFC 6040)
///   time to live       inner, already decremented
///   don't fragment     inner (IPv4 in IPv4, path MTU discovery on), otherwise clear
///                      (for a tunnel device all three may be fixed: TunnelHeader)
///   identification     0 with DF, else the worker's counter
///   next protocol      IPv4 or IPv6
///   UDP source port    the inner flow's hash, so that the path can spread flows
///   checksums          IPv4 header always; UDP (GUE) and GRE if the tunnel's flags say so
///
///   bytes prepended    over IPv4    over IPv6
///   IP-IP              20           40
///   GUE                32           52          and 8 with remote checksum offload
///   GRE                24 or 28     44 or 48 (with checksum)
/// Linux: ip_vs_xmit.c ip_vs_tunnel_xmit, ip_vs_tunnel_xmit_v6.

/// Bits of ipvs::Tunnel::flags. Linux: IP_VS_TUNNEL_ENCAP_FLAG_*.
struct TunnelFlags {
    static constexpr std::uint16_t checksum = 0x1;
    /// GUE's remote checksum offload: a packet that came with a partial checksum stays so, and an
    /// option tells the far end how to complete it. Others get the UDP checksum.
    static constexpr std::uint16_t remote_checksum = 0x2;
};

/// Bytes of options that the packet gets besides the header.
inline std::uint32_t option_length(
    const rte_mbuf& packet, const Parsed& parsed, const TunnelHeader& header
) noexcept {
    const bool remote = header.tunnel.type == ipvs::TunnelType::gue &&
                        (header.tunnel.flags & TunnelFlags::remote_checksum) != 0;
    return remote && was_partial(packet, parsed) ? sizeof(GueRemoteChecksum) : 0;
}

/// Both addresses of one family. Thread: control.
TunnelHeader build_tunnel_header(
    const net::IpAddress& destination, const net::IpAddress& source, const ipvs::Tunnel& tunnel
) noexcept;

/// RFC 2890; for a header without checksum. Thread: control.
void add_gre_key(TunnelHeader& header, std::uint32_t key) noexcept;

/// What of encapsulation is not in the packet.
struct Encapsulation {
    std::uint64_t flow_hash;         ///< of the inner flow
    std::uint16_t& identification;   ///< the worker's counter for outer IPv4 headers
    bool path_mtu_discovery = true;  ///< sysctl pmtu_disc
};

/// Replaces the packet's layer-2 header by the outer header: data then starts at the outer IP
/// header. The packet is whole and its hop count decremented. False (and nothing done) if the
/// mbuf has no room.
template <class Inner>
[[nodiscard]] bool encapsulate(
    rte_mbuf* packet, const Parsed& parsed, const TunnelHeader& header, const Encapsulation& how
) noexcept;

extern template bool
encapsulate<V4>(rte_mbuf*, const Parsed&, const TunnelHeader&, const Encapsulation&) noexcept;
extern template bool
encapsulate<V6>(rte_mbuf*, const Parsed&, const TunnelHeader&, const Encapsulation&) noexcept;

/// What becomes of a packet that is to leave over a link of limited MTU.
enum class MtuVerdict : std::uint8_t {
    fits,
    fragment,  ///< goes out in pieces (IPv4 without DF; a tunnel: the outer packet)
    too_big,   ///< drop and send IcmpError::too_big with the MTU
    drop,      ///< the tunnel leaves less than the family's minimum: no answer
};

/// A reassembled packet leaves in fragments again (fragment_size), so what must fit of an IPv6
/// one is its largest fragment. Linux: ip_vs_xmit.c ensure_mtu_is_adequate, __mtu_check_toobig_v6.
inline MtuVerdict check_mtu(const Parsed& parsed, std::uint32_t mtu) noexcept {
    if (parsed.largest_fragment != 0) [[unlikely]] {
        const bool dealt_out =
            parsed.fragmentation_allowed ||
            (parsed.family == net::Family::inet6 && parsed.largest_fragment <= mtu) ||
            parsed.l3_length <= mtu;
        return dealt_out ? MtuVerdict::fragment : MtuVerdict::too_big;
    }
    if (parsed.l3_length <= mtu) [[likely]]
        return MtuVerdict::fits;
    return parsed.fragmentation_allowed ? MtuVerdict::fragment : MtuVerdict::too_big;
}

/// How large the fragments of a packet may be whose verdict is `fragment`, before encapsulation.
/// Linux: net/ipv4/ip_output.c ip_do_fragment, frag_max_size.
inline std::uint32_t fragment_size(const Parsed& parsed, std::uint32_t mtu) noexcept {
    return parsed.largest_fragment == 0 ? mtu
                                        : std::min<std::uint32_t>(mtu, parsed.largest_fragment);
}

/// … and after: what came in pieces leaves in pieces as large, tunnel headers included. IPv6 keeps
/// the places of the cuts, if the headers have a multiple of eight bytes; the first piece grows.
/// Linux: net/ipv4/ip_output.c ip_finish_output, net/ipv6/ip6_output.c ip6_fragment, where what
/// defragmentation noted in the packet is still in place if the outer header is of its family.
inline PieceSizes outer_fragment_sizes(
    const Parsed& parsed, const TunnelHeader& header, std::uint32_t mtu
) noexcept {
    constexpr std::uint32_t least_of_ipv6 = 1280;
    if (parsed.largest_fragment == 0 || parsed.family != header.outer) [[likely]] return mtu;
    const std::uint32_t as_it_came = parsed.largest_fragment;
    if (header.outer == net::Family::inet) return std::min(mtu, as_it_came);
    const std::uint32_t most = std::min(mtu, std::max(as_it_came, least_of_ipv6));
    const std::uint32_t first = as_it_came + header.length;
    const bool keeps_places = (header.length - sizeof(Ipv6Header)) % 8 == 0 && first <= most;
    return keeps_places ? PieceSizes{first, as_it_came} : PieceSizes{most};
}

/// MTU left to the inner packet, for check_tunnel_mtu and for the ICMP error.
inline std::uint32_t tunnel_mtu(const TunnelHeader& header, std::uint32_t route_mtu) noexcept {
    return route_mtu > header.length ? route_mtu - header.length : 0;
}

/// The same for a packet about to be encapsulated. Linux: ip_vs_xmit.c __ip_vs_get_out_rt,
/// __ip_vs_get_out_rt_v6: the underlay decides which minimum holds.
inline MtuVerdict check_tunnel_mtu(
    const Parsed& parsed,
    const TunnelHeader& header,
    std::uint32_t route_mtu,
    bool path_mtu_discovery
) noexcept {
    constexpr std::uint32_t minimum_v4 = 68;
    constexpr std::uint32_t minimum_v6 = 1280;
    const std::uint32_t mtu = tunnel_mtu(header, route_mtu);
    if (mtu < (header.outer == net::Family::inet ? minimum_v4 : minimum_v6)) {
        return MtuVerdict::drop;
    }
    if (parsed.l3_length <= mtu) [[likely]]
        return MtuVerdict::fits;
    const bool ignore_dont_fragment = parsed.family == net::Family::inet &&
                                      header.outer == net::Family::inet && !path_mtu_discovery;
    return parsed.fragmentation_allowed || ignore_dont_fragment ? MtuVerdict::fragment
                                                                : MtuVerdict::too_big;
}

}  // namespace nlvs::forwarding
