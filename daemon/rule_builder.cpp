#include "daemon/rule_builder.hpp"

#include <algorithm>
#include <optional>
#include <string>

#include <linux/fib_rules.h>

namespace nlvs::daemon {
namespace {

using forwarding::RoutingRule;

/// Empty: there is no such interface. Linux: FIB_RULE_IIF_DETACHED.
std::optional<std::uint32_t> index_of(const kni::KernelState& state, const std::string& name) {
    if (name.empty()) return 0;
    for (const auto& [index, link] : state.links) {
        if (link.value.name == name) return index;
    }
    return std::nullopt;
}

RoutingRule::Action action_of(const kni::Rule& rule) {
    switch (rule.action) {
        case FR_ACT_TO_TBL: return rule.vrf ? RoutingRule::Action::vrf : RoutingRule::Action::table;
        case FR_ACT_GOTO: return RoutingRule::Action::jump;
        case FR_ACT_BLACKHOLE: return RoutingRule::Action::blackhole;
        case FR_ACT_UNREACHABLE: return RoutingRule::Action::unreachable;
        case FR_ACT_PROHIBIT: return RoutingRule::Action::prohibit;
        default: return RoutingRule::Action::none;
    }
}

RoutingRule convert(const kni::KernelState& state, const kni::Rule& rule) {
    RoutingRule result;
    result.action = action_of(rule);
    result.selective = rule.selective;
    result.inverted = rule.inverted;
    const auto input = index_of(state, rule.input);
    const auto output = index_of(state, rule.output);
    result.never = !input || !output || rule.foreign;
    result.input = input.value_or(0);
    result.output = output.value_or(0);
    result.type_of_service = rule.type_of_service;
    result.protocol = rule.protocol;
    result.suppress_length =
        static_cast<std::int16_t>(std::clamp(rule.suppress_length, std::int32_t{-1}, 128));
    result.table = rule.table;
    result.source = rule.source;
    result.destination = rule.destination;
    result.mark = rule.mark;
    result.mark_mask = rule.mark_mask;
    result.source_ports = {rule.source_ports.first, rule.source_ports.last};
    result.destination_ports = {rule.destination_ports.first, rule.destination_ports.last};
    return result;
}

}  // namespace

std::vector<RoutingRule> build_rules(const kni::KernelState& state, net::Family family) {
    std::vector<RoutingRule> rules;
    std::vector<const kni::Rule*> sources;
    for (const auto& entry : state.rules) {
        if (entry.value.family != family) continue;
        sources.push_back(&entry.value);
        rules.push_back(convert(state, entry.value));
    }
    for (std::size_t i = 0; i < rules.size(); ++i) {
        if (rules[i].action != RoutingRule::Action::jump) continue;
        const auto target = std::ranges::find(
            sources, sources[i]->jump_to, [](const kni::Rule* rule) { return rule->priority; }
        );
        // Linux: a goto whose target does not exist does nothing.
        const auto position = static_cast<std::size_t>(target - sources.begin());
        rules[i].target = target == sources.end() ? i + 1 : position;
    }
    if (!rules.empty()) return rules;
    rules.resize(3);
    rules[0].table = forwarding::RoutingPolicy::local_table;
    rules[1].table = forwarding::RoutingPolicy::main_table;
    rules[2].table = forwarding::RoutingPolicy::default_table;
    return rules;
}

std::size_t foreign_rules(const kni::KernelState& state) {
    return static_cast<std::size_t>(
        std::ranges::count_if(state.rules, [](const auto& entry) { return entry.value.foreign; })
    );
}

bool rules_name(const kni::KernelState& state, const kni::Link* before, const kni::Link* after) {
    if (before != nullptr && after != nullptr && before->name == after->name) return false;
    return std::ranges::any_of(state.rules, [&](const auto& entry) {
        const auto named = [&entry](const kni::Link* link) {
            return link != nullptr &&
                   (entry.value.input == link->name || entry.value.output == link->name);
        };
        return named(before) || named(after);
    });
}

}  // namespace nlvs::daemon
