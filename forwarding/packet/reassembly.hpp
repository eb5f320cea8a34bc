#pragma once

#include "compat/net/ip_address.hpp"
#include "forwarding/identifiers.hpp"
#include "forwarding/packet/parsed.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

#include <rte_mbuf.h>

namespace nlvs::forwarding {

/// Puts fragments together, so that a packet can be looked up by its ports.
///
/// Theory of operation. A datagram under construction is one of a fixed number of slots, found by
/// hashing (source, destination, identification, protocol); eight neighbouring slots are tried.
/// Its fragments hang in a list sorted by offset, whose nodes come from one fixed pool. So memory
/// is bounded twice, by datagrams and by mbufs held, and a flood of fragments that never
/// complete only pushes out the datagrams that have waited longest among their neighbours.
/// A complete datagram becomes one chain of mbufs, headers of later fragments cut off.
///
/// Rules, as Linux: a fragment but the last carries a multiple of eight bytes; one that overlaps
/// others in part ends the datagram (RFC 5722), one that brings nothing new is ignored; contents
/// of ECN that cannot occur together end it (RFC 3168 5.3); 30 s (IPv6: 60 s) after its first
/// fragment it is given up. Not as Linux: giving up is silent, no "time exceeded" is sent.
/// Linux: net/ipv4/ip_fragment.c, net/ipv6/netfilter/nf_conntrack_reasm.c.
/// Thread: its worker.
class Reassembly {
public:
    struct Limits {
        std::uint32_t datagrams = 256;   ///< a power of two
        std::uint32_t fragments = 1024;  ///< mbufs held at a time
    };

    /// Of one datagram. Linux has no such limit; 512 bytes a piece make up the largest.
    static constexpr std::uint32_t max_fragments = 128;
    static constexpr Ticks timeout_v4 = 30 * ticks_per_second;
    static constexpr Ticks timeout_v6 = 60 * ticks_per_second;

    /// A whole packet, or null: the fragment waits for others, or was dropped.
    struct Result {
        rte_mbuf* packet = nullptr;
        std::uint16_t largest_fragment = 0;  ///< for Parsed::largest_fragment
    };

    explicit Reassembly(std::uint64_t seed) : Reassembly{seed, Limits{}} {}

    Reassembly(std::uint64_t seed, const Limits& limits);
    Reassembly(const Reassembly&) = delete;
    Reassembly& operator=(const Reassembly&) = delete;
    ~Reassembly();

    /// Takes a fragment (Parsed::kind). The packet that comes back is to be parsed again.
    [[nodiscard]] Result add(rte_mbuf* packet, const Parsed& parsed, Ticks now) noexcept;

    /// Gives up what has waited too long; a few slots per call, to be called every tick.
    void expire(Ticks now) noexcept;

    std::uint32_t datagrams() const noexcept { return used_; }

    std::uint32_t fragments() const noexcept { return held_; }

private:
    static constexpr std::uint32_t none = ~0U;
    static constexpr std::uint32_t neighbourhood = 8;

    struct Key {
        net::Ipv6Address source;  ///< IPv4: first four bytes
        net::Ipv6Address destination;
        std::uint32_t identification = 0;
        std::uint16_t family = 0;
        std::uint16_t protocol = 0;

        friend bool operator==(const Key&, const Key&) = default;
    };

    /// Data [begin, end) of a datagram, in `packet` from `data_offset` on.
    struct Fragment {
        rte_mbuf* packet;
        std::uint16_t l3_offset;
        std::uint16_t data_offset;
        std::uint16_t begin;
        std::uint16_t end;
        std::uint32_t next;
    };

    struct Datagram {
        Key key;
        std::uint32_t first = none;  ///< none: the slot is free
        Ticks deadline = 0;
        std::uint32_t fragments = 0;
        std::uint32_t received = 0;    ///< bytes of data
        std::uint32_t length = 0;      ///< bytes of data in all, 0 while unknown
        std::uint16_t largest = 0;     ///< IP length of the largest fragment
        std::uint16_t largest_df = 0;  ///< and of the largest with DF
        std::uint8_t ecn_seen = 0;     ///< bit per ECN value
    };

    /// What one fragment's header says.
    struct Piece {
        Key key;
        std::uint32_t begin = 0;
        std::uint32_t end = 0;
        bool last = false;
        bool dont_fragment = false;
        std::uint8_t ecn = 0;
    };

    enum class Fit : std::uint8_t { fits, known, contradicts };

    static Piece piece_of(const rte_mbuf* packet, const Parsed& parsed) noexcept;
    std::uint64_t hash(const Key& key) const noexcept;
    Datagram* find_or_open(const Key& key, Ticks now) noexcept;
    Fit fit(const Datagram& datagram, const Piece& piece) const noexcept;
    std::uint32_t take_node(const Datagram& keep) noexcept;
    void insert(Datagram& datagram, std::uint32_t node) noexcept;
    Result complete(Datagram& datagram) noexcept;
    rte_mbuf* chain(Datagram& datagram) noexcept;
    void discard(Datagram& datagram) noexcept;

    std::uint64_t seed_;
    std::vector<Datagram> slots_;
    std::vector<Fragment> nodes_;
    std::uint32_t free_ = none;
    std::uint32_t used_ = 0;
    std::uint32_t held_ = 0;
    std::uint32_t hand_ = 0;  ///< next slot that expire() or take_node() looks at
};

}  // namespace nlvs::forwarding
