#include "compat/ipvs_genl/reply.hpp"

#include "compat/procfs/kernel_clock.hpp"

#include <variant>

#include <linux/ip_vs.h>

namespace nlvs::ipvs_genl {

namespace {

using netlink::Datagram;
using netlink::ReplyBuilder;

/// Opens one message of the family and holds it until the end of the caller's scope.
class Message : public ReplyBuilder {
public:
    Message(Datagram& datagram, const ReplyContext& context, std::uint8_t command)
        : ReplyBuilder{datagram, context.family_id, context.flags, context.to} {
        put_generic_header(command, IPVS_GENL_VERSION);
    }
};

void put_address(ReplyBuilder& message, std::uint16_t type, const ipvs::IpAddress& address) {
    message.put<net::Ipv6Address::Bytes>(type, address.bytes());
}

/// Linux: ip_vs_ctl.c ip_vs_genl_fill_stats — the old nest keeps the low 32 bits.
void put_statistics(ReplyBuilder& message, std::uint16_t type, const ipvs::Statistics& statistics) {
    const auto& [totals, rates] = statistics;
    const auto low = [](std::uint64_t value) { return static_cast<std::uint32_t>(value); };
    const auto nest = message.nest(type);
    message.put<std::uint32_t>(IPVS_STATS_ATTR_CONNS, low(totals.connections));
    message.put<std::uint32_t>(IPVS_STATS_ATTR_INPKTS, low(totals.in_packets));
    message.put<std::uint32_t>(IPVS_STATS_ATTR_OUTPKTS, low(totals.out_packets));
    message.put<std::uint64_t>(IPVS_STATS_ATTR_INBYTES, totals.in_bytes);
    message.put<std::uint64_t>(IPVS_STATS_ATTR_OUTBYTES, totals.out_bytes);
    message.put<std::uint32_t>(IPVS_STATS_ATTR_CPS, low(rates.connections));
    message.put<std::uint32_t>(IPVS_STATS_ATTR_INPPS, low(rates.in_packets));
    message.put<std::uint32_t>(IPVS_STATS_ATTR_OUTPPS, low(rates.out_packets));
    message.put<std::uint32_t>(IPVS_STATS_ATTR_INBPS, low(rates.in_bytes));
    message.put<std::uint32_t>(IPVS_STATS_ATTR_OUTBPS, low(rates.out_bytes));
}

/// Linux: ip_vs_ctl.c ip_vs_genl_fill_stats64.
void put_statistics64(
    ReplyBuilder& message, std::uint16_t type, const ipvs::Statistics& statistics
) {
    const auto& [totals, rates] = statistics;
    const auto nest = message.nest(type);
    message.put<std::uint64_t>(IPVS_STATS_ATTR_CONNS, totals.connections);
    message.put<std::uint64_t>(IPVS_STATS_ATTR_INPKTS, totals.in_packets);
    message.put<std::uint64_t>(IPVS_STATS_ATTR_OUTPKTS, totals.out_packets);
    message.put<std::uint64_t>(IPVS_STATS_ATTR_INBYTES, totals.in_bytes);
    message.put<std::uint64_t>(IPVS_STATS_ATTR_OUTBYTES, totals.out_bytes);
    message.put<std::uint64_t>(IPVS_STATS_ATTR_CPS, rates.connections);
    message.put<std::uint64_t>(IPVS_STATS_ATTR_INPPS, rates.in_packets);
    message.put<std::uint64_t>(IPVS_STATS_ATTR_OUTPPS, rates.out_packets);
    message.put<std::uint64_t>(IPVS_STATS_ATTR_INBPS, rates.in_bytes);
    message.put<std::uint64_t>(IPVS_STATS_ATTR_OUTBPS, rates.out_bytes);
}

void put_service_key(ReplyBuilder& message, const ipvs::ServiceKey& key) {
    message.put<std::uint16_t>(IPVS_SVC_ATTR_AF, static_cast<std::uint16_t>(ipvs::family_of(key)));
    if (const auto* mark = std::get_if<ipvs::FirewallMarkKey>(&key)) {
        message.put<std::uint32_t>(IPVS_SVC_ATTR_FWMARK, mark->mark);
        return;
    }
    const auto& endpoint = std::get<ipvs::EndpointKey>(key);
    message.put<std::uint16_t>(IPVS_SVC_ATTR_PROTOCOL, endpoint.protocol);
    put_address(message, IPVS_SVC_ATTR_ADDR, endpoint.address);
    message.put<net::Be16>(IPVS_SVC_ATTR_PORT, endpoint.port.wire());
}

}  // namespace

void append_service(
    Datagram& datagram, const ReplyContext& context, const ipvs::ServiceView& service
) {
    Message message{datagram, context, IPVS_CMD_NEW_SERVICE};
    const auto nest = message.nest(IPVS_CMD_ATTR_SERVICE);
    put_service_key(message, service.key);
    message.put_text(IPVS_SVC_ATTR_SCHED_NAME, service.spec.scheduler);
    if (!service.spec.persistence_engine.empty()) {
        message.put_text(IPVS_SVC_ATTR_PE_NAME, service.spec.persistence_engine);
    }
    message.put<ip_vs_flags>(IPVS_SVC_ATTR_FLAGS, {.flags = service.spec.flags.word, .mask = ~0U});
    message.put<std::uint32_t>(IPVS_SVC_ATTR_TIMEOUT, procfs::kept_seconds(service.spec.timeout));
    message.put<std::uint32_t>(IPVS_SVC_ATTR_NETMASK, service.spec.netmask);
    put_statistics(message, IPVS_SVC_ATTR_STATS, service.statistics);
    put_statistics64(message, IPVS_SVC_ATTR_STATS64, service.statistics);
}

void append_destination(
    Datagram& datagram, const ReplyContext& context, const ipvs::DestinationView& destination
) {
    const ipvs::DestinationSpec& spec = destination.spec;
    Message message{datagram, context, IPVS_CMD_NEW_DEST};
    const auto nest = message.nest(IPVS_CMD_ATTR_DEST);
    put_address(message, IPVS_DEST_ATTR_ADDR, spec.key.address);
    message.put<net::Be16>(IPVS_DEST_ATTR_PORT, spec.key.port.wire());
    message.put<std::uint32_t>(IPVS_DEST_ATTR_FWD_METHOD, spec.forwarding & IP_VS_CONN_F_FWD_MASK);
    message.put<std::int32_t>(IPVS_DEST_ATTR_WEIGHT, spec.weight);
    message.put<std::uint8_t>(IPVS_DEST_ATTR_TUN_TYPE, static_cast<std::uint8_t>(spec.tunnel.type));
    message.put<net::Be16>(IPVS_DEST_ATTR_TUN_PORT, spec.tunnel.port.wire());
    message.put<std::uint16_t>(IPVS_DEST_ATTR_TUN_FLAGS, spec.tunnel.flags);
    message.put<std::uint32_t>(IPVS_DEST_ATTR_U_THRESH, spec.upper_threshold);
    message.put<std::uint32_t>(IPVS_DEST_ATTR_L_THRESH, spec.lower_threshold);
    message.put<std::uint32_t>(IPVS_DEST_ATTR_ACTIVE_CONNS, destination.active_connections);
    message.put<std::uint32_t>(IPVS_DEST_ATTR_INACT_CONNS, destination.inactive_connections);
    message.put<std::uint32_t>(IPVS_DEST_ATTR_PERSIST_CONNS, destination.persistent_connections);
    message.put<std::uint16_t>(
        IPVS_DEST_ATTR_ADDR_FAMILY, static_cast<std::uint16_t>(spec.key.address.family())
    );
    put_statistics(message, IPVS_DEST_ATTR_STATS, destination.statistics);
    put_statistics64(message, IPVS_DEST_ATTR_STATS64, destination.statistics);
}

void append_daemon(
    Datagram& datagram, const ReplyContext& context, const ipvs::SyncDaemonConfig& daemon
) {
    Message message{datagram, context, IPVS_CMD_NEW_DAEMON};
    const auto nest = message.nest(IPVS_CMD_ATTR_DAEMON);
    message.put<std::uint32_t>(IPVS_DAEMON_ATTR_STATE, daemon.state);
    message.put_text(IPVS_DAEMON_ATTR_MCAST_IFN, daemon.interface);
    message.put<std::uint32_t>(IPVS_DAEMON_ATTR_SYNC_ID, daemon.sync_id);
    message.put<std::uint16_t>(IPVS_DAEMON_ATTR_SYNC_MAXLEN, daemon.max_length);
    message.put<std::uint16_t>(IPVS_DAEMON_ATTR_MCAST_PORT, daemon.port);
    message.put<std::uint8_t>(IPVS_DAEMON_ATTR_MCAST_TTL, daemon.ttl);
    if (daemon.group.is_v6()) {
        put_address(message, IPVS_DAEMON_ATTR_MCAST_GROUP6, daemon.group);
    } else {
        message.put<net::Be32>(IPVS_DAEMON_ATTR_MCAST_GROUP, daemon.group.v4().wire());
    }
}

void append_timeouts(
    Datagram& datagram, const ReplyContext& context, const ipvs::Timeouts& timeouts
) {
    Message message{datagram, context, IPVS_CMD_SET_CONFIG};
    message.put<std::uint32_t>(IPVS_CMD_ATTR_TIMEOUT_TCP, timeouts.tcp);
    message.put<std::uint32_t>(IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, timeouts.tcp_fin);
    message.put<std::uint32_t>(IPVS_CMD_ATTR_TIMEOUT_UDP, timeouts.udp);
}

void append_information(
    Datagram& datagram, const ReplyContext& context, const ipvs::Information& information
) {
    Message message{datagram, context, IPVS_CMD_SET_INFO};
    message.put<std::uint32_t>(IPVS_INFO_ATTR_VERSION, information.version);
    message.put<std::uint32_t>(IPVS_INFO_ATTR_CONN_TAB_SIZE, information.connection_table_size);
}

}  // namespace nlvs::ipvs_genl
