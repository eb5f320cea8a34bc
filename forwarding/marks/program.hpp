#pragma once

#include "forwarding/marks/key_set.hpp"
#include "forwarding/packet/parsed.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace nlvs::forwarding {

/// What firewall mark would the kernel give a packet before its IPVS sees it?
///
/// Theory of operation. The kernel's rules that may change a mark are translated, rule by rule and
/// in order, to steps for a machine that works like nf_tables' own: registers, comparisons that
/// leave the rule when they fail, look-ups, chains that call chains. A packet runs through them
/// once, when it may open a connection; packets of known connections never do. What a rule needs
/// is in the packet, in the port it came from, or is what connection tracking says about the first
/// packet of a connection.
///
/// Some rules ask what only the kernel knows (a rate, a random number). Their steps end in
/// `poison`, where the rule would have set the mark: it is unknown until the next rule that sets
/// it whatever it was; or in `undecided`, where the rule would have done more.
enum class MarkOperation : std::uint8_t {
    // To a register.
    load_link,       ///< `length` bytes at `constant` in the frame
    load_network,    ///< … in the IP header
    load_transport,  ///< … in the transport header
    load_packet_length,
    load_ether_type,
    load_family,
    load_protocol,
    load_interface,
    load_interface_name,
    load_packet_type,
    load_mark,
    load_tracking_state,
    load_tracking_mark,
    load_constant,
    // From register to register.
    mask,        ///< constants: bits to keep, bits to flip
    swap_bytes,  ///< of words of `constant` bytes
    // To the next rule unless they hold.
    compare,  ///< `option`: Relation
    within,   ///< constants: lowest, highest
    outside,
    look_up,  ///< `constant`: set; `option`: 1 when it must not be found
    look_up_value,
    look_up_verdict,
    match_ports,      ///< constants: `length` ranges; `option`: PortMatch bits
    match_tcp_flags,  ///< constants: mask, value; `option`: 1 inverted
    match_mark,       ///< constants: mask, value; `option`: 1 inverted
    match_tracking,   ///< constants: states; `option`: 1 inverted
    match_addresses,  ///< constants: first, last; `option`: AddressMatch bits
    // Effects.
    set_mark,
    set_tracking_mark,
    change_mark,  ///< constants: bits to keep, bits to flip
    stop_tracking,
    poison,
    // Where to go on; `constant`: the step.
    enter,  ///< a chain of a hook; `option`: 1 when what falls off its end is the kernel's
    accept,
    hand_to_kernel,
    undecided,
    jump,
    go_to,
    return_,
    next_rule,
    proceed,  ///< of a verdict map: with the next step
    route,    ///< all prerouting chains are done
    finish,
};

enum class Relation : std::uint8_t { equal, unequal, less, at_most, greater, at_least };

struct PortMatch {
    static constexpr std::uint8_t source = 1, destination = 2, inverted = 4;
};

struct AddressMatch {
    static constexpr std::uint8_t source = 1, inverted = 2;
};

/// Registers are byte offsets into 64 bytes.
struct MarkStep {
    MarkOperation operation = MarkOperation::finish;
    std::uint8_t from = 0;
    std::uint8_t to = 0;
    std::uint8_t length = 0;
    std::uint8_t option = 0;
    std::uint32_t constant = 0;   ///< a number, a place in the constants, a set, or a step
    std::uint32_t next_rule = 0;  ///< step of the rule after this one
};

/// What a look-up of a verdict map leads to.
struct MarkVerdict {
    MarkOperation operation = MarkOperation::next_rule;
    std::uint32_t step = 0;
};

struct MarkSet {
    KeySet keys;
    std::uint32_t value_length = 0;
    std::vector<std::byte> values;      ///< by element
    std::vector<MarkVerdict> verdicts;  ///< by element
};

/// A packet as rules see it.
struct MarkInput {
    std::span<const std::byte> frame;  ///< its contiguous beginning
    const Parsed& parsed;
    std::uint32_t interface = 0;  ///< ifindex of the one that received it
};

struct MarkResult {
    enum class Outcome : std::uint8_t {
        known,
        kernel,     ///< a rule drops, rejects or diverts the packet: the kernel does that
        undecided,  ///< a rule asked what only the kernel knows
    };

    Outcome outcome = Outcome::known;
    std::uint32_t mark = 0;          ///< at IPVS's own hook
    std::uint32_t routing_mark = 0;  ///< when the kernel looks for a route
    bool routing_mark_known = true;
};

struct MarkInterface {
    std::uint32_t index = 0;
    std::array<std::byte, 16> name{};  ///< Linux: IFNAMSIZ
};

/// Thread: immutable.
struct MarkProgram {
    static constexpr std::size_t registers = 64;

    std::vector<MarkStep> steps;
    std::vector<std::byte> constants;
    std::vector<MarkSet> sets;
    std::vector<MarkInterface> interfaces;  ///< by index

    MarkResult evaluate(const MarkInput& packet) const noexcept;
};

}  // namespace nlvs::forwarding
