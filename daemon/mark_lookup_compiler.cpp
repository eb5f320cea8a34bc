#include "daemon/mark_rule_compiler.hpp"
#include "daemon/mark_sets.hpp"

namespace nlvs::daemon {

using forwarding::MarkProgram;
using forwarding::MarkVerdict;

MarkVerdict MarkRuleCompiler::to_verdict(const nftables::Verdict& verdict) const noexcept {
    using Kind = nftables::Verdict::Kind;
    switch (verdict.kind) {
        case Kind::accept:
            return {Operation::accept};
        case Kind::drop:
        case Kind::queue:
            return {Operation::hand_to_kernel};
        case Kind::proceed:
            return {Operation::proceed};
        case Kind::next_rule:
            return {Operation::next_rule};
        case Kind::jump:
            return {Operation::jump};
        case Kind::go_to:
            return {Operation::go_to};
        case Kind::return_:
            return {Operation::return_};
    }
    return {Operation::undecided};
}

std::optional<std::uint32_t> MarkRuleCompiler::set_number(const nftables::Lookup& lookup) {
    const auto known = sets_.find(lookup.set);
    if (known != sets_.end()) return known->second;
    const nftables::Set* set = table_.set(lookup.set);
    if (set == nullptr) {
        doubt("set @" + lookup.set + " is not known");
        return std::nullopt;
    }
    auto compiled = compile_set(*set);
    if (!compiled) {
        doubt(std::move(compiled.error()));
        return std::nullopt;
    }
    const auto number = static_cast<std::uint32_t>(program_.sets.size());
    for (std::size_t i = 0; set->has_verdicts && i < compiled->elements.size(); ++i) {
        const auto& verdict = compiled->elements[i]->verdict;
        const MarkVerdict none{};
        compiled->set.verdicts.push_back(verdict ? to_verdict(*verdict) : none);
        if (verdict && !verdict->chain.empty()) {
            verdict_calls_.push_back({number, i, table_.chain(verdict->chain)});
        }
    }
    program_.sets.push_back(std::move(compiled->set));
    sets_[lookup.set] = number;
    return number;
}

void MarkRuleCompiler::emit(const nftables::Lookup& lookup) {
    const auto number = set_number(lookup);
    const nftables::Set* set = table_.set(lookup.set);
    const std::size_t key_length = set != nullptr ? set->key_length : 0;
    const std::size_t value_length = set != nullptr ? set->value_length : 0;
    const bool fits = lookup.from + key_length <= MarkProgram::registers &&
                      (!lookup.to || *lookup.to + value_length <= MarkProgram::registers);
    const bool answered = number && fits && !is_tainted(lookup.from, key_length);
    if (lookup.to) {
        const bool is_map = value_length != 0;
        if (!is_map) doubt("set @" + lookup.set + " has no values");
        set_tainted(
            *lookup.to, is_map ? value_length : MarkProgram::registers, !answered || !is_map
        );
        if (!is_map) return;
    }
    if (!fits) doubt("set @" + lookup.set + " does not fit the registers");
    if (lookup.is_verdict && (!answered || uncertain_)) {
        return add({.operation = Operation::undecided});
    }
    if (!answered) return;
    Step step{.operation = Operation::look_up, .from = lookup.from, .constant = *number};
    if (lookup.is_verdict) {
        step.operation = Operation::look_up_verdict;
    } else if (lookup.to) {
        step.operation = Operation::look_up_value;
        step.to = *lookup.to;
    } else {
        step.option = lookup.inverted ? std::uint8_t{1} : std::uint8_t{0};
    }
    add(step);
}

}  // namespace nlvs::daemon
