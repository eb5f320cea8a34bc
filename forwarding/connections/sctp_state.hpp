#pragma once

#include "forwarding/identifiers.hpp"
#include "forwarding/packet/flow.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <utility>

namespace nlvs::forwarding {

/// The SCTP state machine of IPVS. Linux: ip_vs_proto_sctp.c sctp_states, set_sctp_state.

/// Linux: IP_VS_SCTP_S_*; the numbers are visible in the sync protocol.
enum class SctpState : std::uint8_t {
    none = 0,
    init1 = 1,
    init = 2,
    cookie_sent = 3,
    cookie_replied = 4,
    cookie_wait = 5,
    cookie = 6,
    cookie_echoed = 7,
    established = 8,
    shutdown_sent = 9,
    shutdown_received = 10,
    shutdown_ack_sent = 11,
    rejected = 12,
    closed = 13,
};

inline constexpr std::size_t sctp_state_count = 14;

/// Chunk types (RFC 9260 section 3.2) that move the state machine.
struct SctpChunkType {
    static constexpr std::uint8_t init = 1, init_ack = 2, abort = 6, shutdown = 7, shutdown_ack = 8,
                                  error = 9, cookie_echo = 10, cookie_ack = 11,
                                  shutdown_complete = 14;
};

/// What a packet says; every other chunk type counts as data.
enum class SctpEvent : std::uint8_t {
    data,
    init,
    init_ack,
    cookie_echo,
    cookie_ack,
    shutdown,
    shutdown_ack,
    shutdown_complete,
    error,
    abort,
};

inline constexpr std::size_t sctp_event_count = 10;

/// The type of the chunk that decides: the first, except that an ABORT bundled behind COOKIE
/// ECHO or COOKIE ACK wins. `second` is the chunk after the first, where the packet has one.
constexpr std::uint8_t deciding_sctp_chunk(
    std::uint8_t first, std::optional<std::uint8_t> second
) noexcept {
    const bool cookie = first == SctpChunkType::cookie_echo || first == SctpChunkType::cookie_ack;
    return cookie && second == SctpChunkType::abort ? SctpChunkType::abort : first;
}

constexpr SctpEvent sctp_event(std::uint8_t chunk_type) noexcept {
    switch (chunk_type) {
        case SctpChunkType::init:
            return SctpEvent::init;
        case SctpChunkType::init_ack:
            return SctpEvent::init_ack;
        case SctpChunkType::abort:
            return SctpEvent::abort;
        case SctpChunkType::shutdown:
            return SctpEvent::shutdown;
        case SctpChunkType::shutdown_ack:
            return SctpEvent::shutdown_ack;
        case SctpChunkType::error:
            return SctpEvent::error;
        case SctpChunkType::cookie_echo:
            return SctpEvent::cookie_echo;
        case SctpChunkType::cookie_ack:
            return SctpEvent::cookie_ack;
        case SctpChunkType::shutdown_complete:
            return SctpEvent::shutdown_complete;
        default:
            return SctpEvent::data;
    }
}

using SctpRow = std::array<SctpState, sctp_state_count>;
using SctpTable = std::array<SctpRow, sctp_event_count>;

namespace sctp_table {

// Two letters keep a table on one screen. Columns and cells in the order of SctpState.
inline constexpr SctpState I1 = SctpState::init1, IN = SctpState::init, CS = SctpState::cookie_sent,
                           CR = SctpState::cookie_replied, CW = SctpState::cookie_wait,
                           CO = SctpState::cookie, CE = SctpState::cookie_echoed,
                           ES = SctpState::established, SS = SctpState::shutdown_sent,
                           SR = SctpState::shutdown_received, SA = SctpState::shutdown_ack_sent,
                           RJ = SctpState::rejected, CL = SctpState::closed;

// clang-format off
inline constexpr std::array<SctpTable, 3> tables = {{
    // NO  I1  IN  CS  CR  CW  CO  CE  ES  SS  SR  SA  RJ  CL
    {{  // input
        {ES, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL},  // DATA
        {I1, IN, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, IN, IN},  // INIT
        {CW, CW, CW, CS, CR, CO, CO, CE, ES, SS, SR, SA, RJ, CL},  // INIT_ACK
        {CR, IN, IN, CR, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL},  // COOKIE_ECHO
        {ES, I1, IN, CS, CR, CW, CO, ES, ES, SS, SR, SA, RJ, CL},  // COOKIE_ACK
        {SR, I1, IN, CS, CR, CW, CO, CE, SR, SS, SR, SA, RJ, CL},  // SHUTDOWN
        {CL, IN, IN, CS, CR, CW, CO, CE, ES, CL, SR, CL, RJ, CL},  // SHUTDOWN_ACK
        {CL, CL, CL, CS, CR, CW, CO, CE, ES, SS, SR, CL, RJ, CL},  // SHUTDOWN_COMPLETE
        {CL, I1, IN, CS, CR, CW, CO, CL, ES, SS, SR, SA, RJ, CL},  // ERROR
        {CL, CL, CL, CL, CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL},  // ABORT
    }},
    {{  // output
        {ES, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL},  // DATA
        {CW, CW, CW, CW, CW, CW, CW, CW, ES, CW, CW, CW, CW, CW},  // INIT
        {CS, CS, CS, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL},  // INIT_ACK
        {CE, CE, CE, CE, CE, CE, CE, CE, ES, SS, SR, SA, RJ, CL},  // COOKIE_ECHO
        {ES, ES, ES, ES, ES, ES, ES, ES, ES, SS, SR, SA, RJ, CL},  // COOKIE_ACK
        {SS, SS, SS, SS, SS, SS, SS, SS, SS, SS, SR, SA, RJ, CL},  // SHUTDOWN
        {SA, SA, SA, SA, SA, CW, CO, CE, ES, SA, SA, SA, RJ, CL},  // SHUTDOWN_ACK
        {CL, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL},  // SHUTDOWN_COMPLETE
        {CL, CL, CL, CL, CL, CW, CO, CE, ES, SS, SR, SA, RJ, CL},  // ERROR
        {CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL},  // ABORT
    }},
    {{  // input only
        {ES, I1, IN, CS, CR, ES, CO, CE, ES, SS, SR, SA, RJ, CL},  // DATA
        {I1, IN, IN, IN, IN, IN, CO, CE, ES, SS, SR, SA, IN, IN},  // INIT
        {CE, CE, CE, CE, CE, CE, CO, CE, ES, SS, SR, SA, RJ, CL},  // INIT_ACK
        {ES, ES, ES, ES, ES, ES, CO, CE, ES, SS, SR, SA, RJ, CL},  // COOKIE_ECHO
        {ES, I1, IN, ES, ES, CW, ES, ES, ES, SS, SR, SA, RJ, CL},  // COOKIE_ACK
        {SR, I1, IN, CS, CR, CW, CO, CE, SR, SS, SR, SA, RJ, CL},  // SHUTDOWN
        {CL, IN, IN, CS, CR, CW, CO, CE, CL, CL, SR, CL, RJ, CL},  // SHUTDOWN_ACK
        {CL, CL, CL, CL, CL, CW, CO, CE, ES, SS, CL, CL, RJ, CL},  // SHUTDOWN_COMPLETE
        {CL, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL},  // ERROR
        {CL, CL, CL, CL, CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL},  // ABORT
    }},
}};
// clang-format on

static_assert(std::to_underlying(SctpState::closed) + 1 == sctp_state_count);

}  // namespace sctp_table

/// The state after a packet whose deciding chunk is of `chunk_type`. `no_output` tells whether no
/// reply had been seen before it. States as in Connection::state.
constexpr std::uint8_t advance_sctp(
    std::uint8_t state, std::uint8_t chunk_type, Direction direction, bool no_output
) noexcept {
    const std::size_t view = direction == Direction::reply ? 1 : no_output ? 2 : 0;
    const std::size_t event = std::to_underlying(sctp_event(chunk_type));
    return std::to_underlying(sctp_table::tables[view][event][state]);
}

constexpr bool is_active(SctpState state) noexcept {
    return state == SctpState::established;
}

/// Linux: ip_vs_proto_sctp.c sctp_timeouts; SET_CONFIG does not change them.
constexpr Ticks sctp_timeout(SctpState state) noexcept {
    constexpr std::array<std::uint16_t, sctp_state_count> seconds = {
        2, 4, 61, 61, 61, 61, 61, 61, 900, 61, 61, 61, 4, 61};
    return seconds[std::to_underlying(state)] * ticks_per_second;
}

}  // namespace nlvs::forwarding
