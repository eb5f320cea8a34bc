#include "kni/nftables/xtables.hpp"

#include "compat/net/bytes.hpp"

#include <array>
#include <cstring>
#include <string>
#include <utility>

#include <linux/netfilter/xt_connmark.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_iprange.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_tcpudp.h>

namespace nlvs::nftables {
namespace {

using Expressions = std::vector<Expression>;

Expression condition(std::string reason) {
    return Inexpressible{std::move(reason), true, false};
}

void add_ports(Expressions& to, const std::uint16_t (&range)[2], bool source, bool inverted) {
    if (range[0] == 0 && range[1] == 0xFFFF && !inverted) return;
    MatchPorts match;
    match.source = source;
    match.destination = !source;
    match.inverted = inverted;
    match.ranges.emplace_back(range[0], range[1]);
    to.emplace_back(std::move(match));
}

Expressions tcp(const xt_tcp& wanted) {
    Expressions result;
    add_ports(result, wanted.spts, true, (wanted.invflags & XT_TCP_INV_SRCPT) != 0);
    add_ports(result, wanted.dpts, false, (wanted.invflags & XT_TCP_INV_DSTPT) != 0);
    const bool inverted = (wanted.invflags & XT_TCP_INV_FLAGS) != 0;
    if (wanted.flg_mask != 0 || inverted) {
        result.emplace_back(MatchTcpFlags{wanted.flg_mask, wanted.flg_cmp, inverted});
    }
    if (wanted.option != 0) result.push_back(condition("match tcp by option"));
    return result;
}

Expressions udp(const xt_udp& wanted) {
    Expressions result;
    add_ports(result, wanted.spts, true, (wanted.invflags & XT_UDP_INV_SRCPT) != 0);
    add_ports(result, wanted.dpts, false, (wanted.invflags & XT_UDP_INV_DSTPT) != 0);
    return result;
}

/// Linux: include/uapi/linux/netfilter/xt_sctp.h xt_sctp_info; that header is not for C++.
struct SctpParameters {
    static constexpr std::uint32_t source_ports = 1, destination_ports = 2, chunk_types = 4;

    std::uint16_t destinations[2];
    std::uint16_t sources[2];
    std::uint32_t chunk_map[64];
    std::uint32_t chunk_match_type;
    std::uint8_t chunk_flags[4][3];
    std::int32_t chunk_flag_count;
    std::uint32_t flags;
    std::uint32_t inverted;
};

static_assert(sizeof(SctpParameters) == 292);

Expressions sctp(const SctpParameters& wanted) {
    Expressions result;
    const auto add = [&](const std::uint16_t(&range)[2], std::uint32_t flag, bool source) {
        if ((wanted.flags & flag) != 0) {
            add_ports(result, range, source, (wanted.inverted & flag) != 0);
        }
    };
    add(wanted.sources, SctpParameters::source_ports, true);
    add(wanted.destinations, SctpParameters::destination_ports, false);
    if ((wanted.flags & SctpParameters::chunk_types) != 0) {
        result.push_back(condition("match sctp by chunk types"));
    }
    return result;
}

Expressions multiport(const xt_multiport_v1& wanted) {
    MatchPorts match;
    match.source = wanted.flags != XT_MULTIPORT_DESTINATION;
    match.destination = wanted.flags != XT_MULTIPORT_SOURCE;
    match.inverted = wanted.invert != 0;
    const unsigned count = wanted.count < XT_MULTI_PORTS ? wanted.count : XT_MULTI_PORTS;
    for (unsigned i = 0; i < count; ++i) {
        const bool begins_range = wanted.pflags[i] != 0 && i + 1 < count;
        const std::uint16_t first = wanted.ports[i];
        if (begins_range) ++i;
        match.ranges.emplace_back(first, wanted.ports[i]);
    }
    return {std::move(match)};
}

/// Addresses stand in unions of 16 bytes, whatever their family; the compiler cuts them.
Expressions address_range(const xt_iprange_mtinfo& wanted) {
    Expressions result;
    const auto add =
        [&](const nf_inet_addr& first, const nf_inet_addr& last, bool source, bool inverted) {
            const auto low = net::as_bytes_of(first), high = net::as_bytes_of(last);
            result.emplace_back(MatchAddresses{
                source, inverted, {low.begin(), low.end()}, {high.begin(), high.end()}});
        };
    if ((wanted.flags & IPRANGE_SRC) != 0) {
        add(wanted.src_min, wanted.src_max, true, (wanted.flags & IPRANGE_SRC_INV) != 0);
    }
    if ((wanted.flags & IPRANGE_DST) != 0) {
        add(wanted.dst_min, wanted.dst_max, false, (wanted.flags & IPRANGE_DST_INV) != 0);
    }
    return result;
}

Expressions tracking(const xt_conntrack_mtinfo3& wanted) {
    constexpr unsigned states_only = XT_CONNTRACK_STATE | XT_CONNTRACK_STATE_ALIAS;
    if ((wanted.match_flags & ~states_only) != 0) {
        return {condition("match conntrack by more than the state")};
    }
    constexpr std::uint32_t untracked = 1U << 8, untracked_here = 1U << 6;
    std::uint32_t states = wanted.state_mask & 0x3FU;
    if ((wanted.state_mask & untracked) != 0) states |= untracked_here;
    return {MatchTracking{states, (wanted.invert_flags & XT_CONNTRACK_STATE) != 0}};
}

template <class Parameters>
Expressions decode_with(
    Expressions (*decode)(const Parameters&), netlink::Bytes bytes, std::string_view name
) {
    const auto parameters = net::extract<Parameters>(bytes);
    if (!parameters) return {condition("match " + std::string{name} + " is cut short")};
    return decode(*parameters);
}

Expressions mark(const xt_mark_mtinfo1& wanted) {
    return {MatchMark{wanted.mask, wanted.mark, wanted.invert != 0}};
}

Expressions neutral() {
    return {Neutral{}};
}

/// Linux: xt_mark.c mark_tg.
Expressions set_mark(netlink::Bytes bytes) {
    const auto wanted = net::extract<xt_mark_tginfo2>(bytes);
    if (!wanted) return {Inexpressible{"target MARK is cut short", false, true}};
    return {ChangeMark{~wanted->mask, wanted->mark}};
}

/// The packet's own mark changes only when the connection's is restored.
Expressions connection_mark(netlink::Bytes bytes) {
    const auto mode = net::extract<std::uint8_t>(bytes, offsetof(xt_connmark_tginfo2, mode));
    if (mode && *mode != XT_CONNMARK_RESTORE) return neutral();
    return {Inexpressible{"target CONNMARK restores a mark", true, true}};
}

}  // namespace

std::vector<Expression> decode_match(
    std::string_view name, std::uint32_t revision, netlink::Bytes parameters
) {
    if (name == "tcp" && revision == 0) return decode_with(tcp, parameters, name);
    if (name == "udp" && revision == 0) return decode_with(udp, parameters, name);
    if (name == "sctp" && revision == 0) return decode_with(sctp, parameters, name);
    if (name == "multiport" && revision == 1) return decode_with(multiport, parameters, name);
    if (name == "mark" && revision == 1) return decode_with(mark, parameters, name);
    if (name == "iprange" && revision == 1) return decode_with(address_range, parameters, name);
    if (name == "conntrack" && revision == 3) return decode_with(tracking, parameters, name);
    if (name == "comment") return neutral();
    return {condition("match " + std::string{name} + " revision " + std::to_string(revision))};
}

std::vector<Expression> decode_target(
    std::string_view name, std::uint32_t revision, netlink::Bytes parameters
) {
    if (name == "MARK" && revision == 2) return set_mark(parameters);
    if (name == "CONNMARK" && revision == 2) return connection_mark(parameters);
    constexpr std::array<std::string_view, 6> without_effect{
        "LOG", "NFLOG", "TRACE", "TCPMSS", "CLASSIFY", "AUDIT"};
    for (const std::string_view known : without_effect) {
        if (name == known) return neutral();
    }
    if (name == "TPROXY" || name == "REJECT" || name == "SYNPROXY" || name == "NFQUEUE") {
        return {HandToKernel{}};
    }
    return {Inexpressible{
        "target " + std::string{name} + " revision " + std::to_string(revision), false, false}};
}

}  // namespace nlvs::nftables
