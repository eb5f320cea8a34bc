#pragma once

#include <cstdint>
#include <expected>

namespace nlvs::ipvs {

/// What can go wrong with an IPVS command, as facts. The errno is chosen at the edge.
enum class Error : std::uint8_t {
    invalid_argument,              ///< malformed or missing attribute, forbidden combination
    address_family_not_supported,  ///< neither AF_INET nor AF_INET6
    service_exists,
    no_such_service,
    destination_exists,
    no_such_destination,
    unknown_scheduler,
    unknown_persistence_engine,
    out_of_range,           ///< negative weight, lower above upper threshold, short top-level u32
    bad_address,            ///< destination address neither local nor unicast
    no_such_device,         ///< sync daemon interface
    network_unreachable,    ///< sync daemon's group, from its interface
    address_in_use,         ///< sync daemon's group and port
    address_not_available,  ///< likewise
    daemon_exists,          ///< sync daemon of that role already runs
    no_such_daemon,
    unsupported_protocol,   ///< sockopt door only
    permission_denied,
    operation_not_supported,
    no_memory,
    unknown_message_type,   ///< netlink family id not ours
    busy,
    io_error,
};

template <class T>
using Result = std::expected<T, Error>;

/// The two kernel interfaces render some errors differently.
enum class Door : std::uint8_t { netlink, sockopt };

/// Positive errno for `error` as seen through `door`.
/// Linux: ip_vs_ctl.c ip_vs_genl_set_cmd, do_ip_vs_set_ctl.
int to_errno(Error error, Door door) noexcept;

}  // namespace nlvs::ipvs
