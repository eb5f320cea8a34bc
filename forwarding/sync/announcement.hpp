#pragma once

#include <cstdint>
#include <type_traits>

#include "compat/net/ip_address.hpp"
#include "compat/net/port.hpp"
#include "forwarding/connections/connection.hpp"
#include "forwarding/identifiers.hpp"

namespace nlvs::forwarding {

/// What a worker wants the backup to know: a connection as it is now, or that a persistence
/// template is due, of which only the number travels.
struct SyncAnnouncement {
    TemplateId persistence_template;  ///< none: a connection, described by the rest
    DestinationId destination;
    Ticks timeout = 0;
    net::IpAddress client;
    net::IpAddress virtual_address;
    net::Port client_port;
    net::Port virtual_port;
    net::Port destination_port;
    std::uint16_t flags = 0;
    std::uint8_t protocol = 0;
    std::uint8_t state = 0;
    std::uint16_t unused = 0;
};

static_assert(sizeof(SyncAnnouncement) == 60 && std::is_trivially_copyable_v<SyncAnnouncement>);

/// A connection that another director serves, its destination already found by control.
struct SyncedConnection {
    net::IpAddress client;
    net::IpAddress virtual_address;
    net::IpAddress destination;
    net::Port client_port;
    net::Port virtual_port;
    net::Port destination_port;
    std::uint16_t flags = 0;  ///< ConnectionFlags
    std::uint8_t protocol = 0;
    std::uint8_t state = 0;
    DestinationId destination_id;
    Ticks timeout = 0;  ///< 0: as the state says
};

}  // namespace nlvs::forwarding
