#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "compat/net/ip_address.hpp"
#include "compat/net/port.hpp"

namespace nlvs::ipvs {

/// Linux: IP_VS_TCP_S_*; the numbers are visible in the sync protocol.
enum class TcpState : std::uint8_t {
    none = 0,
    established = 1,
    syn_sent = 2,
    syn_recv = 3,
    fin_wait = 4,
    time_wait = 5,
    close = 6,
    close_wait = 7,
    last_ack = 8,
    listen = 9,
    synack = 10,
};

/// One line of /proc/net/ip_vs_conn.
struct ConnectionView {
    std::uint8_t protocol = 0;  ///< 0 for templates of firewall-mark services
    net::IpAddress client;
    net::Port client_port;
    net::IpAddress virtual_address;  ///< a fwmark template holds the mark in its first bytes
    net::Port virtual_port;
    net::IpAddress destination;
    net::Port destination_port;
    std::uint8_t state = 0;  ///< TcpState, SCTP state or template state (0 NONE, 1 ASSURED)
    bool is_template = false;
    bool synced = false;  ///< created by the sync protocol (origin SYNC)
    std::uint32_t expires = 0;  ///< seconds left
    std::string persistence_engine;
    std::string persistence_data;
};

/// The name /proc shows for `state` of `protocol`: "ESTABLISHED", "UDP", "NONE", "ERR!"…
/// Linux: ip_vs_proto.c ip_vs_state_name.
std::string_view state_name(std::uint8_t protocol, std::uint8_t state, bool is_template) noexcept;

}  // namespace nlvs::ipvs
