#pragma once

#include "compat/ipvs/destination.hpp"
#include "compat/ipvs/error.hpp"
#include "compat/ipvs/service.hpp"
#include "compat/ipvs/settings.hpp"
#include "compat/ipvs_sockopt/layout.hpp"

#include <cstdint>

namespace nlvs::ipvs_sockopt {

// The same values as in compat/ipvs_genl, as the old interface carries them: IPv4 only, no
// persistence engine, no tunnel options, 32-bit counters.

/// The part that names a service, common to several structs; `Named` has protocol, addr, port
/// and fwmark.
template <class Named>
ipvs::ServiceKey decode_service_key(const Named& named) {
    if (named.fwmark != 0) return ipvs::FirewallMarkKey{ipvs::Family::inet, named.fwmark};
    return ipvs::EndpointKey{
        named.protocol,
        net::Ipv4Address{net::Be32::from_wire(named.addr)},
        ipvs::Port{net::Be16::from_wire(named.port)},
    };
}

/// Whether all that names a service is zero: ZERO then means everything.
bool names_nothing(const ip_vs_service_user& service) noexcept;

/// TCP, UDP or SCTP, which every command with a service demands, for firewall marks too.
bool has_known_protocol(const ip_vs_service_user& service) noexcept;

/// A scheduler name without NUL is invalid.
ipvs::Result<ipvs::ServiceSpec> decode_service(const ip_vs_service_user& service);

ipvs::DestinationSpec decode_destination(const ip_vs_dest_user& destination);

/// An empty interface name, or one without NUL, is invalid.
ipvs::Result<ipvs::SyncDaemonConfig> decode_daemon(const ip_vs_daemon_user& daemon);

ipvs::Timeouts decode_timeouts(const ip_vs_timeout_user& timeouts) noexcept;

/// Linux: ip_vs_ctl.c ip_vs_copy_service.
void encode_service(ip_vs_service_entry& entry, const ipvs::ServiceView& service);

/// Linux: ip_vs_ctl.c __ip_vs_get_dest_entries.
ip_vs_dest_entry encode_destination(const ipvs::DestinationView& destination);

ip_vs_daemon_user encode_daemon(const ipvs::SyncDaemonConfig& daemon);

ip_vs_timeout_user encode_timeouts(const ipvs::Timeouts& timeouts) noexcept;

}  // namespace nlvs::ipvs_sockopt
