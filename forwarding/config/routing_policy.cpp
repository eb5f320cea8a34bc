#include "forwarding/config/routing_policy.hpp"

#include <algorithm>
#include <array>

namespace nlvs::forwarding {
namespace {

/// Linux: fib_rules.c fib4_default_rules_init, fib6_rules.c fib6_rules_net_init.
std::vector<RoutingRule> kernel_rules() {
    std::vector<RoutingRule> rules(3);
    rules[0].table = RoutingPolicy::local_table;
    rules[1].table = RoutingPolicy::main_table;
    rules[2].table = RoutingPolicy::default_table;
    return rules;
}

Route end_of(NextHop::Type type) {
    Route route;
    route.single.type = type;
    return route;
}

/// A table's verdict for one packet: null means that the next rule is asked.
const Route* verdict(
    const RoutingTable& table, const RoutingRule& rule, const net::IpAddress& destination
) noexcept {
    const Route* route =
        destination.is_v4() ? table.lookup(destination.v4()) : table.lookup(destination.v6());
    if (route == nullptr) return nullptr;
    const NextHop::Type type = route->pick(0).type;
    if (type == NextHop::Type::next_rule) return nullptr;
    const bool leads_on = type == NextHop::Type::unicast || type == NextHop::Type::local ||
                          type == NextHop::Type::punt;
    // Linux: fib4_rule_suppress — only what was found without an error is suppressed.
    return leads_on && route->prefix_length <= rule.suppress_length ? nullptr : route;
}

}  // namespace

bool RoutingRule::matches(const RouteQuery& query) const noexcept {
    const auto covers = [](const net::Prefix& prefix, const net::IpAddress& address) {
        return prefix.length() == 0 || prefix.contains(address);
    };
    const bool found =
        !never && (input == 0 || input == query.input) && (output == 0 || output == query.output) &&
        ((mark ^ query.mark) & mark_mask) == 0 &&
        (action != Action::vrf || query.vrf_table != 0) && covers(source, query.source) &&
        covers(destination, query.destination) &&
        (type_of_service == 0 || type_of_service == query.type_of_service) &&
        (protocol == 0 || protocol == query.protocol) && source_ports.contains(query.source_port) &&
        destination_ports.contains(query.destination_port);
    return found != inverted;
}

RoutingPolicy::RoutingPolicy(net::Family family) : family_{family}, wanted_{kernel_rules()} {
    for (const std::uint32_t number : {local_table, main_table}) {
        tables_.emplace(number, std::make_unique<RoutingTable>(family));
    }
    rules_.store(build().release(), std::memory_order_release);
}

RoutingPolicy::~RoutingPolicy() { delete rules_.load(std::memory_order_relaxed); }

void RoutingPolicy::set_rules(std::vector<RoutingRule> rules, Reclaimer& reclaimer) {
    if (rules == wanted_) return;
    wanted_ = std::move(rules);
    reclaimer.retire(std::unique_ptr<const Rules>{
        rules_.exchange(build().release(), std::memory_order_acq_rel)
    });
}

void RoutingPolicy::insert(
    std::uint32_t number,
    const net::Prefix& prefix,
    std::unique_ptr<const Route> route,
    Reclaimer& reclaimer
) {
    table(number, reclaimer).insert(prefix, std::move(route), reclaimer);
}

bool RoutingPolicy::remove(std::uint32_t number, const net::Prefix& prefix, Reclaimer& reclaimer) {
    const auto found = tables_.find(number);
    return found != tables_.end() && found->second->remove(prefix, reclaimer);
}

/// A new table is told to the rules that already name it.
RoutingTable& RoutingPolicy::table(std::uint32_t number, Reclaimer& reclaimer) {
    auto& entry = tables_[number];
    if (!entry) {
        entry = std::make_unique<RoutingTable>(family_);
        reclaimer.retire(std::unique_ptr<const Rules>{
            rules_.exchange(build().release(), std::memory_order_acq_rel)
        });
    }
    return *entry;
}

const RoutingTable* RoutingPolicy::find(std::uint32_t number) const noexcept {
    const auto found = tables_.find(number);
    return found == tables_.end() ? nullptr : found->second.get();
}

std::unique_ptr<const RoutingPolicy::Rules> RoutingPolicy::build() const {
    auto rules = std::make_unique<Rules>();
    for (const RoutingRule& rule : wanted_) {
        rules->steps.push_back({rule, find(rule.table)});
        rules->selective |= rule.selective;
    }
    for (const auto& [number, table] : tables_) rules->tables.emplace_back(number, table.get());
    return rules;
}

std::vector<std::uint32_t> RoutingPolicy::tables() const {
    std::vector<std::uint32_t> numbers;
    for (const auto& [number, table] : tables_) numbers.push_back(number);
    return numbers;
}

std::size_t RoutingPolicy::size() const noexcept {
    std::size_t total = 0;
    for (const auto& [number, table] : tables_) total += table->size();
    return total;
}

std::size_t RoutingPolicy::memory() const noexcept {
    std::size_t total = 0;
    for (const auto& [number, table] : tables_) total += table->memory();
    return total;
}

const RoutingTable* RoutingPolicy::table_of(
    const Rules& rules, const Step& step, const RouteQuery& query
) noexcept {
    if (step.rule.action == RoutingRule::Action::table) return step.table;
    const auto found = std::ranges::find(
        rules.tables, query.vrf_table, [](const auto& entry) { return entry.first; }
    );
    return found == rules.tables.end() ? nullptr : found->second;
}

/// Linux: net/core/fib_rules.c fib_rules_lookup.
const Route* RoutingPolicy::lookup(const RouteQuery& query) const noexcept {
    static const Route blackhole = end_of(NextHop::Type::blackhole);
    static const Route unreachable = end_of(NextHop::Type::unreachable);
    static const Route prohibited = end_of(NextHop::Type::prohibit);
    const Rules& rules = *rules_.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < rules.steps.size(); ++i) {
        const Step& step = rules.steps[i];
        if (step.rule.selective && !step.rule.matches(query)) continue;
        switch (step.rule.action) {
            case RoutingRule::Action::table:
            case RoutingRule::Action::vrf: {
                const RoutingTable* table = table_of(rules, step, query);
                if (table == nullptr) break;
                if (const Route* route = verdict(*table, step.rule, query.destination)) return route;
                break;
            }
            case RoutingRule::Action::jump:
                // A target in front of the rule would never end; the kernel takes none either.
                if (step.rule.target > i) i = step.rule.target - 1;
                break;
            case RoutingRule::Action::none: break;
            case RoutingRule::Action::blackhole: return &blackhole;
            case RoutingRule::Action::unreachable: return &unreachable;
            case RoutingRule::Action::prohibit: return &prohibited;
        }
    }
    return nullptr;
}

}  // namespace nlvs::forwarding
