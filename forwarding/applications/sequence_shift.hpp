#pragma once

#include <cstddef>
#include <cstdint>

#include "forwarding/packet/headers/tcp.hpp"

namespace nlvs::forwarding {

/// By how much one side's TCP sequence numbers are off because payload of it was rewritten.
///
/// Theory of operation. What lies behind the last rewritten packet is off by `after`, what lies
/// before it, and that packet itself, by `before`. A packet older than the last but one change
/// gets the wrong number and is lost, as in Linux.
/// Linux: nf_conntrack_seqadj.c nf_ct_seqadj_set, nf_ct_seq_adjust — the kernel's FTP helper
/// leaves this to connection tracking.
struct SequenceShift {
    std::uint32_t position = 0;  ///< sequence number of the last rewritten packet
    std::int32_t before = 0;
    std::int32_t after = 0;

    bool is_active() const noexcept { return (before | after) != 0; }

    /// The packet at `sequence` has become longer by `growth`. Sent again it counts once.
    void record(std::uint32_t sequence, std::int32_t growth) noexcept {
        if (before != after && !is_before(position, sequence)) return;
        position = sequence;
        before = after;
        after += growth;
    }

    /// What is to be added to a sequence number of this side.
    std::uint32_t at(std::uint32_t sequence) const noexcept {
        return static_cast<std::uint32_t>(is_before(position, sequence) ? after : before);
    }

    /// What is to be taken from the other side's acknowledgement.
    std::uint32_t behind(std::uint32_t acknowledgement) const noexcept {
        const auto unshifted = acknowledgement - static_cast<std::uint32_t>(before);
        return static_cast<std::uint32_t>(is_before(position, unshifted) ? after : before);
    }

private:
    static bool is_before(std::uint32_t a, std::uint32_t b) noexcept {
        return static_cast<std::int32_t>(a - b) < 0;
    }
};

/// Of a packet of the side that is off. The checksum is the caller's business, here and below.
void shift_sequence(TcpHeader& header, const SequenceShift& shift) noexcept;

/// Of a packet of the other side: acknowledgement and SACK blocks (RFC 2018), which are in the
/// `options` bytes behind the header.
void shift_acknowledgement(
    TcpHeader& header, std::size_t options, const SequenceShift& shift
) noexcept;

}  // namespace nlvs::forwarding
