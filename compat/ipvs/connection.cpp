#include "compat/ipvs/connection.hpp"

#include <array>

#include "compat/net/ip_protocol.hpp"

namespace nlvs::ipvs {

std::string_view state_name(std::uint8_t protocol, std::uint8_t state, bool is_template) noexcept {
    static constexpr std::array<std::string_view, 11> tcp{
        "NONE", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT", "TIME_WAIT",
        "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "SYNACK",
    };
    static constexpr std::array<std::string_view, 14> sctp{
        "NONE", "INIT1", "INIT", "C-SENT", "C-REPLIED", "C-WAIT", "COOKIE",
        "C-ECHOED", "ESTABLISHED", "S-SENT", "S-RECEIVED", "S-ACK-SENT", "REJECTED", "CLOSED",
    };
    constexpr std::string_view unknown = "ERR!";
    if (is_template) return state == 0 ? "NONE" : "ASSURED";
    switch (static_cast<net::IpProtocol>(protocol)) {
        case net::IpProtocol::tcp: return state < tcp.size() ? tcp[state] : unknown;
        case net::IpProtocol::sctp: return state < sctp.size() ? sctp[state] : unknown;
        case net::IpProtocol::udp: return state == 0 ? "UDP" : unknown;
        default: return "NONE";
    }
}

}  // namespace nlvs::ipvs
