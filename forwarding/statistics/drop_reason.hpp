#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nlvs::forwarding {

/// Why a packet went no further. Workers count, never log; nlvsctl prints the names.
enum class DropReason : std::uint8_t {
    malformed,               ///< a header does not fit or contradicts itself
    no_destination,          ///< scheduler found none; ICMP port unreachable was sent
    destination_unavailable, ///< the connection's destination is in the trash
    ttl_exceeded,
    too_big,
    no_route,
    neighbour_unresolved,    ///< waited too long, or too many waiting
    connection_table_full,
    handover_full,           ///< the owner's ring had no room
    punt_full,               ///< the shadow interface did not take it
    punt_policed,
    transmit_full,           ///< the NIC did not take it
    interface_down,
    drop_rate,               ///< sysctl drop_packet
    persistence_engine,      ///< no Call-ID
    no_buffer,               ///< mbuf pool empty
    unexpected_reply,        ///< of a real server, answered by ICMP (sysctl nat_icmp_send)
    loopback_destination,    ///< masquerading to 127.0.0.0/8 or ::1
    count_,
};

inline constexpr std::size_t drop_reasons = static_cast<std::size_t>(DropReason::count_);

inline constexpr std::array<std::string_view, drop_reasons> drop_reason_names{
    "malformed",       "no_destination", "destination_unavailable", "ttl_exceeded",
    "too_big",         "no_route",       "neighbour_unresolved",    "connection_table_full",
    "handover_full",   "punt_full",      "punt_policed",            "transmit_full",
    "interface_down",  "drop_rate",      "persistence_engine",      "no_buffer",
    "unexpected_reply", "loopback_destination",
};

}  // namespace nlvs::forwarding
