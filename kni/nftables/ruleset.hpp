#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

/// nf_tables as plain values: the part of the kernel's rules that can say which firewall mark a
/// packet gets. Registers are byte offsets into nf_tables' 64 bytes of registers; numbers in
/// registers and data are as the kernel has them there.
namespace nlvs::nftables {

using Data = std::vector<std::byte>;
using Register = std::uint8_t;

struct LoadPayload {
    enum class Base : std::uint8_t { link, network, transport };
    Base base = Base::network;
    std::uint32_t offset = 0;
    std::uint8_t length = 0;
    Register to = 0;
};

struct LoadMeta {
    std::uint32_t key = 0;  ///< NFT_META_*
    Register to = 0;
};

struct LoadTracking {
    bool mark = false;  ///< else the state
    Register to = 0;
};

struct LoadConstant {
    Data data;
    Register to = 0;
};

struct MaskBits {
    Register from = 0, to = 0;
    Data keep, flip;
};

struct SwapBytes {
    Register from = 0, to = 0;
    std::uint8_t length = 0, size = 0;
};

struct Compare {
    std::uint32_t relation = 0;  ///< NFT_CMP_*
    Register from = 0;
    Data data;
};

struct CompareRange {
    bool outside = false;
    Register from = 0;
    Data lowest, highest;
};

struct Lookup {
    std::string set;
    Register from = 0;
    std::optional<Register> to;  ///< of a map's value
    bool is_verdict = false;     ///< a verdict map
    bool inverted = false;
};

struct MatchPorts {
    bool source = false, destination = false;  ///< both: either of them
    bool inverted = false;
    std::vector<std::pair<std::uint16_t, std::uint16_t>> ranges;
};

struct MatchTcpFlags {
    std::uint8_t mask = 0, value = 0;
    bool inverted = false;
};

struct MatchMark {
    std::uint32_t mask = 0, value = 0;
    bool inverted = false;
};

/// Any of the bits, NF_CT_STATE_BIT(…).
struct MatchTracking {
    std::uint32_t states = 0;
    bool inverted = false;
};

struct MatchAddresses {
    bool source = false, inverted = false;
    Data first, last;
};

struct SetMark {
    Register from = 0;
};

struct SetTrackingMark {
    Register from = 0;
};

/// mark = (mark & keep) ^ flip
struct ChangeMark {
    std::uint32_t keep = 0, flip = 0;
};

struct StopTracking {};

/// No influence on marks or on where the packet goes.
struct Neutral {};

/// The kernel answers, drops or diverts the packet.
struct HandToKernel {};

struct Verdict {
    enum class Kind : std::uint8_t {
        accept,
        drop,
        queue,
        proceed,
        next_rule,
        jump,
        go_to,
        return_
    };
    Kind kind = Kind::accept;
    std::string chain;
};

/// What only the kernel can carry out.
struct Inexpressible {
    std::string reason;
    bool restricts_only = true;  ///< a condition; else it may change the packet or its mark
    bool sets_mark = false;
};

using Expression = std::variant<
    LoadPayload,
    LoadMeta,
    LoadTracking,
    LoadConstant,
    MaskBits,
    SwapBytes,
    Compare,
    CompareRange,
    Lookup,
    MatchPorts,
    MatchTcpFlags,
    MatchMark,
    MatchTracking,
    MatchAddresses,
    SetMark,
    SetTrackingMark,
    ChangeMark,
    StopTracking,
    Neutral,
    HandToKernel,
    Verdict,
    Inexpressible>;

struct Rule {
    std::uint64_t handle = 0;
    std::vector<Expression> expressions;
};

struct Hook {
    std::uint32_t number = 0;  ///< NF_INET_*
    std::int32_t priority = 0;
};

struct Chain {
    std::string name;
    std::string type;          ///< of a chain with a hook: filter, nat, route
    std::optional<Hook> hook;  ///< none: reached from other chains only
    bool drops = false;        ///< policy
    std::vector<Rule> rules;
};

struct Element {
    Data key, key_end;  ///< `key_end`: of ranges of several fields
    Data value;
    std::optional<Verdict> verdict;
    bool interval_end = false;
    bool catch_all = false;
    bool conditional = false;                ///< has a limit or quota of its own
    std::optional<std::uint64_t> remaining;  ///< milliseconds until it goes
};

struct Set {
    std::string name;
    std::uint32_t flags = 0;  ///< NFT_SET_*
    std::uint32_t key_length = 0;
    std::uint32_t value_length = 0;
    bool has_verdicts = false;
    std::vector<std::size_t> field_lengths;  ///< of a concatenation, in bytes
    std::vector<Element> elements;
};

struct Table {
    std::uint8_t family = 0;  ///< NFPROTO_*
    std::string name;
    bool dormant = false;
    std::vector<Chain> chains;
    std::vector<Set> sets;

    const Chain* chain(const std::string& wanted) const noexcept {
        for (const Chain& candidate : chains) {
            if (candidate.name == wanted) return &candidate;
        }
        return nullptr;
    }

    const Set* set(const std::string& wanted) const noexcept {
        for (const Set& candidate : sets) {
            if (candidate.name == wanted) return &candidate;
        }
        return nullptr;
    }
};

struct Ruleset {
    std::uint32_t generation = 0;
    std::vector<Table> tables;

    Table* table(std::uint8_t family, const std::string& name) noexcept {
        for (Table& candidate : tables) {
            if (candidate.family == family && candidate.name == name) return &candidate;
        }
        return nullptr;
    }
};

}  // namespace nlvs::nftables
