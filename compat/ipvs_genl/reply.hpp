#pragma once

#include "compat/ipvs/destination.hpp"
#include "compat/ipvs/service.hpp"
#include "compat/ipvs/settings.hpp"
#include "compat/netlink/builder.hpp"

#include <cstdint>

namespace nlvs::ipvs_genl {

/// What the messages of one answer have in common.
struct ReplyContext {
    std::uint16_t family_id = 0;
    std::uint16_t flags = 0;  ///< NLM_F_MULTI in a dump
    netlink::ReplyTo to;
};

// Each appends one message to `datagram`: the attributes of Linux 6.1 in its order and sizes.

/// Linux: ip_vs_ctl.c ip_vs_genl_fill_service.
void append_service(
    netlink::Datagram& datagram, const ReplyContext& context, const ipvs::ServiceView& service
);

/// Linux: ip_vs_ctl.c ip_vs_genl_dump_dest, ip_vs_genl_fill_dest.
void append_destination(
    netlink::Datagram& datagram,
    const ReplyContext& context,
    const ipvs::DestinationView& destination
);

/// Linux: ip_vs_ctl.c ip_vs_genl_fill_daemon.
void append_daemon(
    netlink::Datagram& datagram, const ReplyContext& context, const ipvs::SyncDaemonConfig& daemon
);

/// The answers to GET_CONFIG and GET_INFO. Linux: ip_vs_ctl.c ip_vs_genl_get_cmd.
void append_timeouts(
    netlink::Datagram& datagram, const ReplyContext& context, const ipvs::Timeouts& timeouts
);
void append_information(
    netlink::Datagram& datagram, const ReplyContext& context, const ipvs::Information& information
);

}  // namespace nlvs::ipvs_genl
