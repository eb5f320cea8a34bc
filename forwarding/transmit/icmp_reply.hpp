#pragma once

#include "forwarding/packet/flow.hpp"
#include "forwarding/packet/parsed.hpp"

#include <algorithm>
#include <cstdint>

#include <rte_cycles.h>
#include <rte_mbuf.h>

namespace nlvs::forwarding {

/// What a sender is told about its packet.
///
///   error              IPv4 type/code           IPv6 type/code
///   port_unreachable   3/3                      1/4
///   host_unreachable   3/1                      1/3
///   prohibited         3/13                     1/1
///   time_exceeded      11/0                     3/0
///   too_big            3/4 with MTU             2/0 with MTU
///   reply_too_big      the same, for a packet whose hop count has not been touched
enum class IcmpError : std::uint8_t {
    port_unreachable,
    host_unreachable,
    prohibited,
    time_exceeded,
    too_big,
    reply_too_big,
};

constexpr bool is_about_size(IcmpError error) noexcept {
    return error == IcmpError::too_big || error == IcmpError::reply_too_big;
}

/// Builds the error about a packet in a fresh mbuf of the packet's pool: data starts at the IP
/// header, ready to be routed to the packet's sender. Null if there is no mbuf, or if nobody may
/// be told (RFC 1122 3.2.2, RFC 4443 2.4 e): the packet is itself an ICMP error or a later
/// fragment, or its sender is not a single host, or its receiver is not (IPv6 too_big excepted).
///
/// The packet is as it was received. Quoted is what fits into 576 bytes, for IPv6 into 1280. As
/// Linux's IPVS has decremented the hop count by the time it finds a request too big, the quotation
/// of too_big shows that; the others show the packet untouched.
/// Linux: net/ipv4/icmp.c __icmp_send, net/ipv6/icmp.c icmp6_send.
template <class FamilyTag>
rte_mbuf* make_icmp_error(
    const rte_mbuf* packet,
    const Parsed& parsed,
    IcmpError error,
    std::uint32_t mtu,
    const typename FamilyTag::Address& source
) noexcept;

template <>
rte_mbuf* make_icmp_error<
    V4>(const rte_mbuf*, const Parsed&, IcmpError, std::uint32_t, const net::Ipv4Address&) noexcept;
template <>
rte_mbuf* make_icmp_error<
    V6>(const rte_mbuf*, const Parsed&, IcmpError, std::uint32_t, const net::Ipv6Address&) noexcept;

/// An error with any type and code; `rest` is the second word of its header.
struct IcmpMessage {
    std::uint8_t type = 0;
    std::uint8_t code = 0;
    std::uint32_t rest = 0;
};

/// As make_icmp_error<V4>, for an error that the engine passes on about the packet at
/// Parsed::l3_offset, which may be cut short (Parsed::l3_length is what is there).
rte_mbuf* make_icmp_message(
    const rte_mbuf* packet, const Parsed& parsed, const IcmpMessage& message,
    const net::Ipv4Address& source
) noexcept;

/// How many errors one worker sends: Linux's host-wide limit (icmp_msgs_per_sec 1000,
/// icmp_msgs_burst 50), for each worker. Path MTU discovery is exempt, as there.
/// Linux: net/ipv4/icmp.c icmp_global_allow, icmpv4_mask_allow.
/// Thread: its worker.
class IcmpErrorLimiter {
public:
    static constexpr std::uint64_t per_second = 1000;
    static constexpr std::uint64_t burst = 50;

    explicit IcmpErrorLimiter(std::uint64_t tsc_hz = rte_get_tsc_hz()) noexcept
        : cost_{tsc_hz / per_second}, credit_{cost_ * burst} {}

    bool admit(IcmpError error, std::uint64_t tsc) noexcept {
        if (is_about_size(error)) return true;
        credit_ = std::min(credit_ + (tsc - last_), cost_ * burst);
        last_ = tsc;
        if (credit_ < cost_) return false;
        credit_ -= cost_;
        return true;
    }

private:
    std::uint64_t cost_;  ///< cycles that earn one message
    std::uint64_t credit_;
    std::uint64_t last_ = 0;
};

}  // namespace nlvs::forwarding
