#pragma once

#include "forwarding/config/routing_policy.hpp"
#include "kni/kernel_state.hpp"

#include <vector>

namespace nlvs::daemon {

/// The kernel's rules of one family, as workers evaluate them. A rule that names an interface which
/// does not exist matches nothing; one that looks at what packets passing through do not have (a
/// user, a tunnel's key) neither, and is counted by foreign_rules().
///
/// No rules at all are taken for "not heard of yet": the kernel's own ones hold.
std::vector<forwarding::RoutingRule> build_rules(const kni::KernelState& state, net::Family family);

/// How many rules are not followed to the letter.
std::size_t foreign_rules(const kni::KernelState& state);

/// A rule names the interface, so a change of it changes the rules.
bool rules_name(const kni::KernelState& state, const kni::Link* before, const kni::Link* after);

}  // namespace nlvs::daemon
