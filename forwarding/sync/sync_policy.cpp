#include "forwarding/sync/sync_policy.hpp"

#include <algorithm>
#include <cstdlib>

#include "compat/ipvs/connection.hpp"
#include "compat/net/ip_protocol.hpp"
#include "forwarding/connections/sctp_state.hpp"

namespace nlvs::forwarding {
namespace {

bool is_announced(ipvs::TcpState state) noexcept {
    switch (state) {
        case ipvs::TcpState::established:
        case ipvs::TcpState::fin_wait:
        case ipvs::TcpState::close:
        case ipvs::TcpState::close_wait:
        case ipvs::TcpState::time_wait: return true;
        default: return false;
    }
}

bool is_announced(SctpState state) noexcept {
    switch (state) {
        case SctpState::established:
        case SctpState::shutdown_sent:
        case SctpState::shutdown_received:
        case SctpState::shutdown_ack_sent:
        case SctpState::closed: return true;
        default: return false;
    }
}

enum class Urgency : std::uint8_t { never, by_the_rules, at_once };

/// The end of a connection does not wait for its packet to be the n-th.
Urgency urgency_of(const SyncSubject& subject, const ipvs::Sysctls& sysctls) noexcept {
    if (subject.is_template) return Urgency::by_the_rules;
    if (sysctls.sync_persist_mode != 0 && subject.persistent) return Urgency::never;
    const bool changed = subject.state != subject.announced_state;
    bool established = false;
    switch (static_cast<net::IpProtocol>(subject.protocol)) {
        case net::IpProtocol::tcp: {
            const auto state = static_cast<ipvs::TcpState>(subject.state);
            if (!is_announced(state)) return Urgency::never;
            established = state == ipvs::TcpState::established;
            break;
        }
        case net::IpProtocol::sctp: {
            const auto state = static_cast<SctpState>(subject.state);
            if (!is_announced(state)) return Urgency::never;
            established = state == SctpState::established;
            break;
        }
        default: return Urgency::by_the_rules;
    }
    return changed && !established ? Urgency::at_once : Urgency::by_the_rules;
}

}  // namespace

SyncDecision decide_sync(
    const SyncSubject& subject, const ipvs::Sysctls& sysctls, Ticks now
) noexcept {
    const Urgency urgency = urgency_of(subject, sysctls);
    if (urgency == Urgency::never) return {};
    const Ticks end = now + subject.timeout;
    if (urgency == Urgency::at_once) return {true, {end, 0}};
    const auto refresh = static_cast<std::int32_t>(
        static_cast<std::uint32_t>(sysctls.sync_refresh_period) * ticks_per_second
    );
    std::uint32_t retries = 0;
    if (refresh > 0) {
        constexpr std::int32_t least = 10 * ticks_per_second;
        const std::int32_t half = static_cast<std::int32_t>(subject.timeout >> 1);
        if (std::abs(subject.end.until(end)) < std::min(refresh, std::max(half, least))) {
            retries = subject.end.retries();
            if (retries >= static_cast<std::uint32_t>(sysctls.sync_retries)) return {};
            // The announcement was made `timeout` before its end.
            if (subject.end.until(end) < refresh >> 3) return {};
            ++retries;
        }
    }
    const auto threshold = static_cast<std::uint32_t>(sysctls.sync_threshold);
    if (sysctls.sync_period > 0) {
        const auto period = static_cast<std::uint32_t>(sysctls.sync_period);
        if (!subject.is_template && subject.packets % period != threshold) return {};
    } else if (refresh <= 0 && subject.packets != threshold) {
        return {};
    }
    return {true, {end, retries}};
}

}  // namespace nlvs::forwarding
