#pragma once

#include "compat/netlink/attribute.hpp"
#include "kni/nftables/ruleset.hpp"

#include <vector>

namespace nlvs::nftables {

/// The expressions of a rule, in order: what is in NFTA_RULE_EXPRESSIONS. Total: what is not
/// understood becomes Inexpressible.
std::vector<Expression> decode_expressions(netlink::Bytes list);

/// What is in an NFTA_DATA_* attribute: a verdict, if it is one.
std::optional<Verdict> decode_verdict(netlink::Bytes data);

/// … or a value.
Data decode_value(netlink::Bytes data);

}  // namespace nlvs::nftables
