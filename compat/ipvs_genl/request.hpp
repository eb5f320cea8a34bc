#pragma once

#include "compat/ipvs/destination.hpp"
#include "compat/ipvs/error.hpp"
#include "compat/ipvs/service.hpp"
#include "compat/ipvs/settings.hpp"
#include "compat/ipvs_genl/attributes.hpp"
#include "compat/netlink/attribute.hpp"
#include "compat/netlink/policy.hpp"

#include <cstdint>
#include <expected>
#include <optional>

namespace nlvs::ipvs_genl {

// Bytes to typed requests, in the pieces in which the kernel takes them: a service is looked up
// (ESRCH) before the destination next to it is parsed (EINVAL). All functions are total. What the
// kernel says about a request besides the errno goes to `said`; it has nothing to say about
// services and destinations.

using Command = netlink::Attributes<IPVS_CMD_ATTR_MAX>;
using Nest = std::optional<netlink::AttributeView>;

/// The top level of a command. A wrong length is EINVAL or ERANGE here, and only here.
ipvs::Result<Command> decode_command(
    netlink::Bytes attributes, netlink::ExtendedAck* said = nullptr
);

struct ServiceRequest {
    ipvs::ServiceKey key;
    ipvs::ServiceSpec spec;
};

/// What identifies a service: family and mark, or family, protocol, address and port.
/// Linux: ip_vs_ctl.c ip_vs_genl_parse_service.
ipvs::Result<ipvs::ServiceKey> decode_service_key(const Nest& service);

/// The full form, which NEW_SERVICE and SET_SERVICE demand.
ipvs::Result<ServiceRequest> decode_service(const Nest& service);

/// An address without a family takes `service_family`.
/// Linux: ip_vs_ctl.c ip_vs_genl_parse_dest, ip_vs_genl_set_cmd.
ipvs::Result<ipvs::DestinationKey> decode_destination_key(
    const Nest& destination, ipvs::Family service_family
);

/// The full form, which NEW_DEST and SET_DEST demand. Absent tunnel attributes are zero.
ipvs::Result<ipvs::DestinationSpec> decode_destination(
    const Nest& destination, ipvs::Family service_family
);

/// NEW_DAEMON. Linux: ip_vs_ctl.c ip_vs_genl_new_daemon.
ipvs::Result<ipvs::SyncDaemonConfig> decode_daemon(
    const Nest& daemon, netlink::ExtendedAck* said = nullptr
);

/// DEL_DAEMON: the state alone.
ipvs::Result<std::uint32_t> decode_daemon_state(
    const Nest& daemon, netlink::ExtendedAck* said = nullptr
);

/// SET_CONFIG; absent is 0, "keep".
ipvs::Timeouts decode_timeouts(const Command& command);

}  // namespace nlvs::ipvs_genl
