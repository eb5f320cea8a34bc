#pragma once

#include "compat/ipvs/connection.hpp"
#include "compat/ipvs/settings.hpp"
#include "forwarding/identifiers.hpp"
#include "forwarding/packet/flow.hpp"

#include <array>
#include <cstdint>
#include <utility>

namespace nlvs::forwarding {

using ipvs::TcpState;

/// The TCP state machine of IPVS, which watches one or both directions of a connection and
/// decides no more than how long to remember it and whether it counts as active.
/// Linux: ip_vs_proto_tcp.c tcp_states, tcp_states_dos, set_tcp_state.

inline constexpr std::size_t tcp_state_count = 11;

/// What a packet says. RST outranks SYN, SYN outranks FIN, FIN outranks ACK.
enum class TcpEvent : std::uint8_t { syn, fin, ack, rst, none };

inline constexpr std::size_t tcp_event_count = 5;

constexpr TcpEvent tcp_event(std::uint8_t flags) noexcept {
    if ((flags & 0x04) != 0) return TcpEvent::rst;
    if ((flags & 0x02) != 0) return TcpEvent::syn;
    if ((flags & 0x01) != 0) return TcpEvent::fin;
    if ((flags & 0x10) != 0) return TcpEvent::ack;
    return TcpEvent::none;
}

/// Which packets the director sees decides which table applies. input_only: from the client,
/// while no reply was ever seen (direct routing, tunnels).
enum class TcpView : std::uint8_t { input, output, input_only };

constexpr TcpView tcp_view(Direction direction, bool no_output) noexcept {
    if (direction == Direction::reply) return TcpView::output;
    return no_output ? TcpView::input_only : TcpView::input;
}

using TcpRow = std::array<TcpState, tcp_state_count>;
using TcpTable = std::array<TcpRow, tcp_event_count>;

namespace tcp_table {

// Two letters keep a table on one screen. Columns and cells in the order of TcpState.
inline constexpr TcpState NO = TcpState::none, ES = TcpState::established, SS = TcpState::syn_sent,
                          SR = TcpState::syn_recv, FW = TcpState::fin_wait,
                          TW = TcpState::time_wait, CL = TcpState::close, CW = TcpState::close_wait,
                          LA = TcpState::last_ack, LI = TcpState::listen, SA = TcpState::synack;

// clang-format off
/// Normal, then secure_tcp; three views each.
inline constexpr std::array<TcpTable, 6> tables = {{
    // NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA
    {{  // normal, input
        {SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR},  // SYN
        {CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW},  // FIN
        {ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES},  // ACK
        {CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR},  // RST
        {CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL},  // none
    }},
    {{  // normal, output
        {SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR},  // SYN
        {TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW},  // FIN
        {ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES},  // ACK
        {CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL},  // RST
        {CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL},  // none
    }},
    {{  // normal, input only
        {SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR},  // SYN
        {CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW},  // FIN
        {ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES},  // ACK
        {CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL},  // RST
        {CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL},  // none
    }},
    {{  // secure, input
        {SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SA},  // SYN
        {CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, SA},  // FIN
        {ES, ES, SS, SR, FW, TW, CL, CW, CL, LI, SA},  // ACK
        {CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL},  // RST
        {CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL},  // none
    }},
    {{  // secure, output
        {SS, ES, SS, SA, SS, SS, SS, SS, SS, LI, SA},  // SYN
        {TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW},  // FIN
        {ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES},  // ACK
        {CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL},  // RST
        {CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL},  // none
    }},
    {{  // secure, input only
        {SA, ES, ES, SR, SA, SA, SA, SA, SA, SA, SA},  // SYN
        {CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW},  // FIN
        {ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES},  // ACK
        {CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL},  // RST
        {CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL},  // none
    }},
}};
// clang-format on

static_assert(std::to_underlying(TcpState::synack) + 1 == tcp_state_count);
static_assert(std::to_underlying(NO) == 0);

}  // namespace tcp_table

/// The state after a packet with `flags` (TCP header byte 13). `no_output` tells whether no
/// reply had been seen before it; `secure` selects the stricter tables of secure_tcp.
constexpr TcpState advance_tcp(
    TcpState state, std::uint8_t flags, Direction direction, bool no_output, bool secure
) noexcept {
    const std::size_t table =
        (secure ? 3U : 0U) + std::to_underlying(tcp_view(direction, no_output));
    return tcp_table::tables[table][std::to_underlying(tcp_event(flags))]
                            [std::to_underlying(state)];
}

/// Linux: ip_vs_proto_tcp.c tcp_state_active_table.
constexpr bool is_active(TcpState state) noexcept {
    return state == TcpState::established || state == TcpState::syn_sent ||
           state == TcpState::syn_recv || state == TcpState::synack;
}

/// How long a connection in `state` is remembered after its last packet.
/// Linux: ip_vs_proto_tcp.c tcp_timeouts; SET_CONFIG changes two of them.
constexpr Ticks tcp_timeout(TcpState state, const ipvs::Timeouts& timeouts) noexcept {
    constexpr std::array<std::uint16_t, tcp_state_count> seconds = {
        2, 0, 120, 60, 0, 120, 10, 60, 30, 120, 120};
    if (state == TcpState::established) return timeouts.tcp * ticks_per_second;
    if (state == TcpState::fin_wait) return timeouts.tcp_fin * ticks_per_second;
    return seconds[std::to_underlying(state)] * ticks_per_second;
}

}  // namespace nlvs::forwarding
