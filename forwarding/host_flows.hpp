#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "compat/net/ip_protocol.hpp"
#include "forwarding/connections/flow_hash.hpp"
#include "forwarding/identifiers.hpp"
#include "forwarding/packet/parse.hpp"

namespace nlvs::forwarding {

/// Flows in which the host itself has sent something of late, so that what comes back (an answer to a
/// health check, an ssh or BGP session) can be told from what anybody sends. A hint for policing:
/// entries are lost when more flows than fit are busy, and a stranger is taken for one of them once
/// in four thousand million times.
///
/// A line of eight entries for each hash; the one that was silent longest makes room.
/// Thread: any worker; two that write at once may lose an entry.
class HostFlows {
public:
    static constexpr std::size_t capacity = 16 * 1024;
    /// The longest silence of a session with keepalives: BGP's hold time is 180 s.
    static constexpr Ticks memory = 240 * ticks_per_second;

    explicit HostFlows(std::uint64_t seed) noexcept : hash_v4_{seed}, hash_v6_{~seed} {}

    /// The host has sent this packet, of kind transport. TCP's refusals and answers to connection
    /// attempts do not count: these are what junk with a forged source gets.
    void sent(const Parsed& packet, Ticks now) noexcept {
        if (packet.protocol == static_cast<std::uint8_t>(net::IpProtocol::tcp) &&
            !says_something(packet.tcp_flags)) {
            return;
        }
        if (packet.family == net::Family::inet) {
            note(hash_v4_(packet.flow4.inverted()), now);
        } else {
            note(hash_v6_(packet.flow6.inverted()), now);
        }
    }

    /// Whether this packet for the host, of kind transport, belongs to such a flow.
    bool expects(const Parsed& packet, Ticks now) const noexcept {
        const bool v4 = packet.family == net::Family::inet;
        const std::uint64_t hash = v4 ? hash_v4_(packet.flow4) : hash_v6_(packet.flow6);
        for (const std::atomic<Entry>& place : lines_[line_of(hash)].entries) {
            const Entry entry = place.load(std::memory_order_relaxed);
            if (entry.tag == tag_of(hash) && now - entry.last < memory) return true;
        }
        return false;
    }

private:
    static bool says_something(std::uint8_t tcp_flags) noexcept {
        constexpr std::uint8_t answer = TcpFlags::syn | TcpFlags::ack;
        return (tcp_flags & TcpFlags::rst) == 0 && (tcp_flags & answer) != answer;
    }

    struct Entry {
        std::uint32_t tag = 0;  ///< never 0 in use
        Ticks last = 0;
    };

    static constexpr std::size_t ways = 64 / sizeof(Entry);

    struct alignas(64) Line {
        std::array<std::atomic<Entry>, ways> entries{};
    };

    static_assert(std::atomic<Entry>::is_always_lock_free);

    static std::uint32_t tag_of(std::uint64_t hash) noexcept {
        return static_cast<std::uint32_t>(hash) | 1U;
    }

    static std::size_t line_of(std::uint64_t hash) noexcept { return (hash >> 32) % (capacity / ways); }

    void note(std::uint64_t hash, Ticks now) noexcept {
        Line& line = lines_[line_of(hash)];
        std::atomic<Entry>* oldest = &line.entries[0];
        Ticks silence = 0;
        for (std::atomic<Entry>& place : line.entries) {
            const Entry entry = place.load(std::memory_order_relaxed);
            if (entry.tag == tag_of(hash)) {
                if (entry.last != now) place.store({entry.tag, now}, std::memory_order_relaxed);
                return;
            }
            const Ticks age = entry.tag == 0 ? ~Ticks{0} : now - entry.last;
            if (age > silence) {
                silence = age;
                oldest = &place;
            }
        }
        oldest->store({tag_of(hash), now}, std::memory_order_relaxed);
    }

    FlowHash<V4> hash_v4_;
    FlowHash<V6> hash_v6_;
    std::array<Line, capacity / ways> lines_{};
};

}  // namespace nlvs::forwarding
