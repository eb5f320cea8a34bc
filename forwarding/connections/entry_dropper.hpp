#pragma once

#include "compat/net/ip_protocol.hpp"
#include "forwarding/connections/connection.hpp"
#include "forwarding/connections/sctp_state.hpp"
#include "forwarding/connections/tcp_state.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace nlvs::forwarding {

/// Which connections sysctl drop_entry throws out while it is on: the half-open ones at once, the
/// established and those of protocols without states by chance, the fewer packets they have had
/// the likelier. Linux: ip_vs_conn.c ip_vs_random_dropentry, todrop_entry.
/// Thread: its worker.
class EntryDropper {
public:
    /// In a second one in this many connections is looked at.
    static constexpr std::uint32_t share = 32;

    template <class FamilyTag>
    bool drops(const Connection<FamilyTag>& connection, Ticks now) noexcept {
        switch (static_cast<net::IpProtocol>(connection.protocol)) {
            case net::IpProtocol::tcp: {
                const auto state = static_cast<TcpState>(connection.state);
                if (state == TcpState::syn_recv || state == TcpState::synack) return true;
                return state == TcpState::established && takes(connection, now);
            }
            case net::IpProtocol::sctp: {
                const auto state = static_cast<SctpState>(connection.state);
                if (state == SctpState::init1 || state == SctpState::init) return true;
                return state == SctpState::established && takes(connection, now);
            }
            default: return takes(connection, now);
        }
    }

private:
    static constexpr std::uint32_t most_packets = 8;
    static constexpr Ticks spared = 60 * ticks_per_second;

    /// Of the candidates with n packets every n-th.
    template <class FamilyTag>
    bool takes(const Connection<FamilyTag>& connection, Ticks now) noexcept {
        const std::uint32_t packets = connection.in_packets;
        if (now - connection.last_seen < spared || packets == 0 || packets > most_packets) return false;
        std::int8_t& left = left_[packets];
        if (--left > 0) return false;
        left = static_cast<std::int8_t>(packets);
        return true;
    }

    std::array<std::int8_t, most_packets + 1> left_{};
};

}  // namespace nlvs::forwarding
