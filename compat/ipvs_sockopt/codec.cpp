#include "compat/ipvs_sockopt/codec.hpp"

#include "compat/procfs/kernel_clock.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <variant>

namespace nlvs::ipvs_sockopt {

namespace {

using ipvs::Error;
using ipvs::Result;

/// The text of a NUL-terminated field; invalid without the NUL.
Result<std::string> decode_text(std::span<const char> field) {
    const auto end = std::ranges::find(field, '\0');
    if (end == field.end()) return std::unexpected{Error::invalid_argument};
    return std::string{field.begin(), end};
}

/// Cut to leave room for the NUL. What follows it stays as the caller passed it, as after the
/// kernel's strscpy.
void encode_text(std::span<char> field, const std::string& text) {
    const std::size_t size = std::min(text.size(), field.size() - 1);
    std::copy_n(text.begin(), size, field.begin());
    field[size] = '\0';
}

ipvs::BesideMark decode_beside_mark(const ip_vs_service_user& service) {
    return {
        service.protocol,
        net::Ipv4Address{net::Be32::from_wire(service.addr)},
        ipvs::Port{net::Be16::from_wire(service.port)},
    };
}

/// Linux: ip_vs_ctl.c ip_vs_copy_stats — the low 32 bits of what became wider.
void encode_statistics(ip_vs_stats_user& out, const ipvs::Statistics& statistics) {
    const auto low = [](std::uint64_t value) { return static_cast<std::uint32_t>(value); };
    const auto& [totals, rates] = statistics;
    out.conns = low(totals.connections);
    out.inpkts = low(totals.in_packets);
    out.outpkts = low(totals.out_packets);
    out.inbytes = totals.in_bytes;
    out.outbytes = totals.out_bytes;
    out.cps = low(rates.connections);
    out.inpps = low(rates.in_packets);
    out.outpps = low(rates.out_packets);
    out.inbps = low(rates.in_bytes);
    out.outbps = low(rates.out_bytes);
}

/// The forwarding method and the flags given with it, and those the kernel adds: a new
/// destination's connections are inactive, and all but masquerading sees no reply.
/// Linux: ip_vs_ctl.c __ip_vs_update_dest.
std::uint32_t connection_flags(const ipvs::DestinationSpec& spec) {
    const std::uint32_t flags = spec.forwarding | spec.flags | IP_VS_CONN_F_INACTIVE;
    return spec.forwarding == IP_VS_CONN_F_MASQ ? flags : flags | IP_VS_CONN_F_NOOUTPUT;
}

}  // namespace

bool names_nothing(const ip_vs_service_user& service) noexcept {
    return service.fwmark == 0 && service.addr == 0 && service.port == 0;
}

bool has_known_protocol(const ip_vs_service_user& service) noexcept {
    return service.protocol == IPPROTO_TCP || service.protocol == IPPROTO_UDP ||
           service.protocol == IPPROTO_SCTP;
}

Result<ipvs::ServiceSpec> decode_service(const ip_vs_service_user& service) {
    const auto scheduler = decode_text(service.sched_name);
    if (!scheduler) return std::unexpected{scheduler.error()};
    const bool marked = service.fwmark != 0;
    return ipvs::ServiceSpec{
        .scheduler = *scheduler,
        .persistence_engine = {},
        .flags = {service.flags},
        .flags_mask = ~0U,
        .timeout = service.timeout,
        .netmask = service.netmask,
        .beside_mark = marked ? decode_beside_mark(service) : ipvs::BesideMark{},
    };
}

ipvs::DestinationSpec decode_destination(const ip_vs_dest_user& destination) {
    return {
        .key =
            {
                net::Ipv4Address{net::Be32::from_wire(destination.addr)},
                ipvs::Port{net::Be16::from_wire(destination.port)},
            },
        .forwarding = destination.conn_flags & IP_VS_CONN_F_FWD_MASK,
        .weight = destination.weight,
        .upper_threshold = destination.u_threshold,
        .lower_threshold = destination.l_threshold,
        .tunnel = {},
        .flags = destination.conn_flags & ipvs::DestinationFlags::all,
    };
}

Result<ipvs::SyncDaemonConfig> decode_daemon(const ip_vs_daemon_user& daemon) {
    const auto interface = decode_text(daemon.mcast_ifn);
    if (!interface || interface->empty()) return std::unexpected{Error::invalid_argument};
    ipvs::SyncDaemonConfig config;
    config.state = static_cast<std::uint32_t>(daemon.state);
    config.interface = *interface;
    config.sync_id = static_cast<std::uint32_t>(daemon.syncid);
    return config;
}

ipvs::Timeouts decode_timeouts(const ip_vs_timeout_user& timeouts) noexcept {
    return {
        .tcp = static_cast<std::uint32_t>(timeouts.tcp_timeout),
        .tcp_fin = static_cast<std::uint32_t>(timeouts.tcp_fin_timeout),
        .udp = static_cast<std::uint32_t>(timeouts.udp_timeout),
    };
}

void encode_service(ip_vs_service_entry& entry, const ipvs::ServiceView& service) {
    if (const auto* mark = std::get_if<ipvs::FirewallMarkKey>(&service.key)) {
        const ipvs::BesideMark& given = service.spec.beside_mark;
        entry.protocol = given.protocol;
        entry.addr = given.address.wire().wire();
        entry.port = given.port.wire().wire();
        entry.fwmark = mark->mark;
    } else {
        const auto& endpoint = std::get<ipvs::EndpointKey>(service.key);
        entry.protocol = endpoint.protocol;
        entry.addr = endpoint.address.v4().wire().wire();
        entry.port = endpoint.port.wire().wire();
        entry.fwmark = 0;
    }
    encode_text(entry.sched_name, service.spec.scheduler);
    entry.flags = service.spec.flags.word;
    entry.timeout = procfs::kept_seconds(service.spec.timeout);
    entry.netmask = service.spec.netmask;
    entry.num_dests = service.destinations;
    encode_statistics(entry.stats, service.statistics);
}

ip_vs_dest_entry encode_destination(const ipvs::DestinationView& destination) {
    ip_vs_dest_entry entry{};
    entry.addr = destination.spec.key.address.v4().wire().wire();
    entry.port = destination.spec.key.port.wire().wire();
    entry.conn_flags = connection_flags(destination.spec);
    entry.weight = destination.spec.weight;
    entry.u_threshold = destination.spec.upper_threshold;
    entry.l_threshold = destination.spec.lower_threshold;
    entry.activeconns = destination.active_connections;
    entry.inactconns = destination.inactive_connections;
    entry.persistconns = destination.persistent_connections;
    encode_statistics(entry.stats, destination.statistics);
    return entry;
}

ip_vs_daemon_user encode_daemon(const ipvs::SyncDaemonConfig& daemon) {
    ip_vs_daemon_user entry{};
    entry.state = static_cast<int>(daemon.state);
    encode_text(entry.mcast_ifn, daemon.interface);
    entry.syncid = static_cast<int>(daemon.sync_id);
    return entry;
}

ip_vs_timeout_user encode_timeouts(const ipvs::Timeouts& timeouts) noexcept {
    return {
        .tcp_timeout = static_cast<int>(timeouts.tcp),
        .tcp_fin_timeout = static_cast<int>(timeouts.tcp_fin),
        .udp_timeout = static_cast<int>(timeouts.udp),
    };
}

}  // namespace nlvs::ipvs_sockopt
