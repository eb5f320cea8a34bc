#include "kni/nftables/selection.hpp"

#include <linux/netfilter.h>

namespace nlvs::nftables {
namespace {

bool runs_before_ipvs(const Chain& chain) noexcept {
    if (!chain.hook || chain.type == "nat") return false;
    if (chain.hook->number == NF_INET_PRE_ROUTING) return true;
    return chain.hook->number == NF_INET_LOCAL_IN && chain.hook->priority <= ipvs_priority;
}

bool may_change_mark(const Expression& expression) noexcept {
    if (const auto* unknown = std::get_if<Inexpressible>(&expression)) {
        return unknown->sets_mark || !unknown->restricts_only;
    }
    return std::holds_alternative<SetMark>(expression) ||
           std::holds_alternative<ChangeMark>(expression);
}

/// Collects what one hook reaches.
class Walk {
public:
    explicit Walk(const Table& table) : table_{table} {}

    void visit(const Chain* chain) {
        if (chain == nullptr || !chains.insert(chain).second) return;
        for (const Rule& rule : chain->rules) {
            for (const Expression& expression : rule.expressions) visit(expression);
        }
    }

    std::set<const Chain*> chains;
    std::set<std::string> sets;
    bool changes_mark = false;

private:
    void visit(const Expression& expression) {
        changes_mark |= may_change_mark(expression);
        if (const auto* verdict = std::get_if<Verdict>(&expression)) return follow(*verdict);
        const auto* lookup = std::get_if<Lookup>(&expression);
        if (lookup == nullptr) return;
        sets.insert(lookup->set);
        const Set* set = lookup->is_verdict ? table_.set(lookup->set) : nullptr;
        if (set == nullptr) return;
        for (const Element& element : set->elements) {
            if (element.verdict) follow(*element.verdict);
        }
    }

    void follow(const Verdict& verdict) {
        if (!verdict.chain.empty()) visit(table_.chain(verdict.chain));
    }

    const Table& table_;
};

}  // namespace

Selection select(const Table& table) {
    Selection result;
    if (table.dormant) return result;
    for (const Chain& chain : table.chains) {
        if (!runs_before_ipvs(chain)) continue;
        Walk walk{table};
        walk.visit(&chain);
        if (!walk.changes_mark) continue;
        result.hooks.push_back(&chain);
        result.chains.merge(walk.chains);
        result.sets.merge(walk.sets);
    }
    return result;
}

}  // namespace nlvs::nftables
