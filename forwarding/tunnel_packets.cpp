/// The pipeline's part for packets that come through a tunnel device of the host.

#include "compat/net/ip_protocol.hpp"
#include "forwarding/packet/checksum.hpp"
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

/// A fragment of the outer packet holds no packet.
template <class F>
bool is_whole(const PacketContext& context) noexcept {
    if constexpr (F::family == net::Family::inet) {
        return !net::header_at<Ipv4Header>(context.l3())->is_fragment();
    } else {
        return !context.parsed.later_fragment;
    }
}

constexpr std::uint8_t congestion_experienced = 3;  // all bits of congestion notification

std::uint8_t service_of(net::Family family, const std::byte* l3) noexcept {
    return family == net::Family::inet ? net::header_at<Ipv4Header>(l3)->type_of_service
                                       : net::header_at<Ipv6Header>(l3)->traffic_class();
}

void mark_congestion(net::Family family, std::byte* l3) noexcept {
    if (family == net::Family::inet) {
        auto& ip = *net::header_at<Ipv4Header>(l3);
        ip.type_of_service |= congestion_experienced;
        write_checksum(ip);
    } else {
        auto& ip = *net::header_at<Ipv6Header>(l3);
        ip.version_class_label =
            net::Be32{ip.version_class_label.host() | std::uint32_t{congestion_experienced} << 20};
    }
}

/// What met congestion outside is marked inside, which changes nothing for a kernel that unpacks it
/// yet. False if the packet inside cannot say it: the kernel drops that.
/// Linux: inet_ecn.h INET_ECN_decapsulate.
bool take_congestion_mark(const PacketContext& outer, const Parsed& inside) noexcept {
    const auto mark = [](net::Family family, const std::byte* l3) {
        return service_of(family, l3) & congestion_experienced;
    };
    if (mark(outer.parsed.family, outer.l3()) != congestion_experienced) [[likely]] return true;
    std::byte* l3 = outer.data() + inside.l3_offset;
    const int before = mark(inside.family, l3);
    if (before == 0) return false;
    if (before != congestion_experienced) mark_congestion(inside.family, l3);
    return true;
}

}  // namespace

template <class F>
const TunnelIngress* Pipeline::find_tunnel(
    const PacketContext& context, std::uint32_t key, bool keyed
) const noexcept {
    if (!is_whole<F>(context)) return nullptr;
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
    const bool known = inside.kind == PacketKind::transport || inside.kind == PacketKind::icmp_error;
    if (!known || !shared_.configuration.serves(inside.family)) return pass_on(context);
    if (!take_congestion_mark(context, inside)) return pass_on(context);
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
