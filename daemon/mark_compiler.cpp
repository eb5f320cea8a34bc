#include "daemon/mark_compiler.hpp"

#include "daemon/mark_rule_compiler.hpp"
#include "kni/nftables/selection.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

namespace nlvs::daemon {
namespace {

using forwarding::MarkOperation;
using forwarding::MarkProgram;
using forwarding::MarkStep;
using nftables::Chain;
using nftables::Ruleset;
using nftables::Selection;
using nftables::Table;

/// One program: the chains of its family's hooks in the kernel's order, then every chain once.
class ProgramCompiler {
public:
    ProgramCompiler(std::uint8_t family, std::vector<MarkRule>& rules)
        : family_{family}, rules_{rules} {}

    std::unique_ptr<MarkProgram> compile(const Ruleset& ruleset) {
        std::vector<std::pair<const Table*, Selection>> selected;
        for (const Table& table : ruleset.tables) {
            if (table.family != family_ && table.family != NFPROTO_INET) continue;
            selected.emplace_back(&table, nftables::select(table));
            for (const Chain* chain : selected.back().second.hooks) hooks_.push_back(chain);
        }
        if (hooks_.empty()) return nullptr;
        emit_hooks();
        for (const auto& [table, selection] : selected) emit_chains(*table, selection);
        for (const auto& [step, chain] : calls_) program_->steps[step].constant = start(chain);
        for (const VerdictCall& call : verdict_calls_) {
            program_->sets[call.set].verdicts[call.element].step = start(call.chain);
        }
        return std::move(program_);
    }

private:
    /// Linux: netfilter/core.c nf_hook_entries_grow — of equal priorities the newest comes first.
    void emit_hooks() {
        std::ranges::reverse(hooks_);
        std::ranges::stable_sort(hooks_, {}, [](const Chain* chain) {
            return std::pair{chain->hook->number, chain->hook->priority};
        });
        static_assert(NF_INET_PRE_ROUTING < NF_INET_LOCAL_IN);
        bool routed = false;
        for (const Chain* chain : hooks_) {
            if (!routed && chain->hook->number == NF_INET_LOCAL_IN) {
                program_->steps.push_back({.operation = MarkOperation::route});
                routed = true;
            }
            calls_.emplace_back(program_->steps.size(), chain);
            program_->steps.push_back(
                {.operation = MarkOperation::enter,
                 .option = static_cast<std::uint8_t>(chain->drops)}
            );
        }
        if (!routed) program_->steps.push_back({.operation = MarkOperation::route});
        program_->steps.push_back({.operation = MarkOperation::finish});
    }

    void emit_chains(const Table& table, const Selection& selection) {
        MarkRuleCompiler compiler{*program_, table, family_, calls_, verdict_calls_};
        for (const Chain& chain : table.chains) {
            if (!selection.chains.contains(&chain)) continue;
            starts_[&chain] = static_cast<std::uint32_t>(program_->steps.size());
            for (const nftables::Rule& rule : chain.rules) {
                auto reason = compiler.compile(rule);
                if (!reason) continue;
                rules_.push_back(
                    {table.family, table.name, chain.name, rule.handle, std::move(*reason)}
                );
            }
            program_->steps.push_back({.operation = MarkOperation::return_});
        }
    }

    /// A chain that does not exist cannot be judged; the kernel has none of these.
    std::uint32_t start(const Chain* chain) {
        const auto found = starts_.find(chain);
        if (found != starts_.end()) return found->second;
        const auto step = static_cast<std::uint32_t>(program_->steps.size());
        program_->steps.push_back({.operation = MarkOperation::undecided});
        return step;
    }

    std::uint8_t family_;
    std::vector<MarkRule>& rules_;
    std::unique_ptr<MarkProgram> program_ = std::make_unique<MarkProgram>();
    std::vector<const Chain*> hooks_;
    std::map<const Chain*, std::uint32_t> starts_;
    ChainCalls calls_;
    VerdictCalls verdict_calls_;
};

void add_names(MarkProgram* program, const InterfaceNames& names) {
    if (program == nullptr) return;
    for (const auto& [index, name] : names) {
        forwarding::MarkInterface interface {
            index, {}
        };
        std::memcpy(
            interface.name.data(), name.data(), std::min(name.size(), interface.name.size() - 1)
        );
        program->interfaces.push_back(interface);
    }
}

}  // namespace

CompiledMarks compile_marks(const Ruleset& ruleset, const InterfaceNames& names) {
    CompiledMarks result;
    std::vector<MarkRule> rules_v6;
    result.v4 = ProgramCompiler{NFPROTO_IPV4, result.rules}.compile(ruleset);
    result.v6 = ProgramCompiler{NFPROTO_IPV6, rules_v6}.compile(ruleset);
    for (MarkRule& rule : rules_v6) {
        if (rule.family == NFPROTO_IPV6) result.rules.push_back(std::move(rule));
    }
    add_names(result.v4.get(), names);
    add_names(result.v6.get(), names);
    return result;
}

}  // namespace nlvs::daemon
