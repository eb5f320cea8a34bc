/// The pipeline's part for packets that come through a tunnel device of the host.

#include "compat/net/ip_protocol.hpp"
#include "forwarding/packet/headers/gre.hpp"
#include "forwarding/packet/partial_checksum.hpp"
#include "forwarding/pipeline.hpp"

#include <algorithm>
#include <optional>

namespace nlvs::forwarding {
namespace {

/// What lies between the outer IP header and the packet inside.
struct Shell {
    net::Family inside = net::Family::inet;
    std::uint16_t length = 0;
    std::uint32_t key = 0;
    bool keyed = false;
};

/// RFC 2784, RFC 2890; none for what the kernel had better look at.
std::optional<Shell> read_gre(const PacketContext& context) noexcept {
    const std::size_t at = context.parsed.l4_offset;
    constexpr std::size_t word = 4;
    if (context.packet->data_len < at + 2 * word) return std::nullopt;
    const auto& gre = *net::header_at<GreHeader>(context.l4());
    Shell shell;
    shell.length = sizeof(GreHeader);
    const std::uint16_t flags = gre.flags_and_version.host();
    if (flags == GreHeader::key_present) {
        shell.keyed = true;
        shell.key = net::load<net::Be32>(context.l4() + sizeof(GreHeader)).host();
        shell.length += word;
    } else if (flags != 0) {
        return std::nullopt;
    }
    switch (EtherType{gre.protocol.host()}) {
        case EtherType::ipv4: shell.inside = net::Family::inet; return shell;
        case EtherType::ipv6: shell.inside = net::Family::inet6; return shell;
        default: return std::nullopt;
    }
}

std::optional<Shell> read_shell(const PacketContext& context) noexcept {
    switch (net::IpProtocol{context.parsed.protocol}) {
        case net::IpProtocol::ipip: return Shell{net::Family::inet};
        case net::IpProtocol::ipv6: return Shell{net::Family::inet6};
        case net::IpProtocol::gre: return read_gre(context);
        default: return std::nullopt;
    }
}

/// A fragment of the outer packet holds no packet. Linux: inet_ecn.h INET_ECN_decapsulate — one
/// that met congestion outside must be marked inside, which is left to the kernel.
template <class F>
bool is_whole_and_unmarked(const PacketContext& context) noexcept {
    constexpr std::uint8_t congestion_experienced = 3;
    if constexpr (F::family == net::Family::inet) {
        const auto& ip = *net::header_at<Ipv4Header>(context.l3());
        return !ip.is_fragment() &&
               (ip.type_of_service & congestion_experienced) != congestion_experienced;
    } else {
        const auto& ip = *net::header_at<Ipv6Header>(context.l3());
        return !context.parsed.later_fragment &&
               (ip.traffic_class() & congestion_experienced) != congestion_experienced;
    }
}

}  // namespace

template <class F>
const TunnelIngress* Pipeline::find_tunnel(
    const PacketContext& context, std::uint32_t key, bool keyed
) const noexcept {
    if (!is_whole_and_unmarked<F>(context)) return nullptr;
    const auto& outer = context.parsed.template flow<F>();
    if (!is_local<F>(outer.destination)) return nullptr;
    const auto& tunnels = shared_.configuration.tunnels;
    TunnelKey wanted{outer.destination, outer.source, key, context.parsed.protocol, keyed};
    if (const TunnelIngress* exact = tunnels.find(wanted)) return exact;
    wanted.local = typename F::Address{};
    return tunnels.find(wanted);
}

/// The packet inside is treated as if its outer headers were layer 2, so that the kernel still gets
/// the packet as it came if nobody here wants it, and unpacks it by itself.
void Pipeline::unpack(const PacketContext& context) noexcept {
    const Parsed& outer = context.parsed;
    if (outer.l3_length == 0 || outer.l4_offset == 0) return pass_on(context);
    const auto shell = read_shell(context);
    if (!shell) return pass_on(context);
    const TunnelIngress* tunnel = outer.family == net::Family::inet
                                      ? find_tunnel<V4>(context, shell->key, shell->keyed)
                                      : find_tunnel<V6>(context, shell->key, shell->keyed);
    // Linux: ip_vs_core.c ip_vs_in_hook, which marks what it does not know and skips it once unpacked.
    if (tunnel == nullptr || context.settings.sysctls.ignore_tunneled != 0) return pass_on(context);
    Parsed inside;
    const auto offset = static_cast<std::uint16_t>(outer.l4_offset + shell->length);
    const std::size_t end = std::size_t{outer.l3_offset} + outer.l3_length;
    FrameParser{
        {context.data(), std::min<std::size_t>(context.packet->data_len, end)}, end, inside
    }.run_inside(shell->inside, offset);
    if (inside.kind != PacketKind::transport && inside.kind != PacketKind::icmp_error) {
        return pass_on(context);
    }
    if (shared_.ports[context.port].partial_checksums && !context.taken_over &&
        inside.kind == PacketKind::transport) {
        complete_partial_checksum(context.packet, inside);
    }
    const std::uint64_t hash = inside.family == net::Family::inet
                                   ? worker_.connections_v4.hash_of(inside.flow4)
                                   : worker_.connections_v6.hash_of(inside.flow6);
    forward({context.packet, inside, context.settings, hash, context.port, context.taken_over,
             context.now, false, {}, tunnel});
}

}  // namespace nlvs::forwarding
