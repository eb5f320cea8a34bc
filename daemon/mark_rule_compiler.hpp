#pragma once

#include "forwarding/marks/program.hpp"
#include "kni/nftables/ruleset.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace nlvs::daemon {

/// Steps, and elements of verdict maps, that wait for a chain's place in the program.
using ChainCalls = std::vector<std::pair<std::size_t, const nftables::Chain*>>;

struct VerdictCall {
    std::size_t set, element;
    const nftables::Chain* chain;
};

using VerdictCalls = std::vector<VerdictCall>;

/// Appends the rules of one table to a program.
///
/// What a rule asks that only the kernel knows makes it uncertain: from then on its effects are
/// replaced by `poison` or `undecided`. Registers that would hold the answer are tainted, and so
/// is what is computed from them; a comparison of a tainted register is left out, all others stay
/// and keep the uncertainty to the packets it concerns.
class MarkRuleCompiler {
public:
    MarkRuleCompiler(
        forwarding::MarkProgram& program,
        const nftables::Table& table,
        std::uint8_t family,
        ChainCalls& calls,
        VerdictCalls& verdict_calls
    )
        : program_{program},
          table_{table},
          family_{family},
          calls_{calls},
          verdict_calls_{verdict_calls} {}

    /// Empty when the rule has no effect and was left out; else why it cannot be followed, or "".
    std::optional<std::string> compile(const nftables::Rule& rule);

private:
    using Operation = forwarding::MarkOperation;
    using Step = forwarding::MarkStep;

    void emit(const nftables::LoadPayload& load);
    void emit(const nftables::LoadMeta& load);
    void emit(const nftables::LoadTracking& load);
    void emit(const nftables::LoadConstant& load);
    void emit(const nftables::MaskBits& mask);
    void emit(const nftables::SwapBytes& swap);
    void emit(const nftables::Compare& comparison);
    void emit(const nftables::CompareRange& range);
    void emit(const nftables::Lookup& lookup);
    void emit(const nftables::MatchPorts& match);
    void emit(const nftables::MatchTcpFlags& match);
    void emit(const nftables::MatchMark& match);
    void emit(const nftables::MatchTracking& match);
    void emit(const nftables::MatchAddresses& match);
    void emit(const nftables::SetMark& effect);
    void emit(const nftables::SetTrackingMark& effect);
    void emit(const nftables::ChangeMark& effect);
    void emit(const nftables::StopTracking& effect);
    void emit(const nftables::HandToKernel& effect);
    void emit(const nftables::Verdict& verdict);
    void emit(const nftables::Inexpressible& unknown);

    void emit(const nftables::Neutral&) noexcept {}

    void add(Step step) { program_.steps.push_back(step); }

    /// An effect: as it is, or `instead` when the rule is uncertain.
    void add_effect(Step step, Operation instead);
    void doubt(std::string reason);
    std::uint32_t add_constant(const nftables::Data& data);
    std::uint32_t add_words(const std::vector<std::uint32_t>& words);
    /// The number of the set in the program; doubts and returns nothing when it cannot be used.
    std::optional<std::uint32_t> set_number(const nftables::Lookup& lookup);
    forwarding::MarkVerdict to_verdict(const nftables::Verdict& verdict) const noexcept;

    static std::uint64_t bits(std::size_t place, std::size_t length) noexcept;

    bool is_tainted(std::size_t place, std::size_t length) const noexcept {
        return (tainted_ & bits(place, length)) != 0;
    }

    void set_tainted(std::size_t place, std::size_t length, bool tainted) noexcept;

    forwarding::MarkProgram& program_;
    const nftables::Table& table_;
    std::uint8_t family_;
    ChainCalls& calls_;
    VerdictCalls& verdict_calls_;
    std::map<std::string, std::uint32_t> sets_;
    // Of the rule that is being compiled.
    std::string reason_;
    bool uncertain_ = false;
    std::uint64_t tainted_ = 0;  ///< a bit per byte of the registers
};

}  // namespace nlvs::daemon
