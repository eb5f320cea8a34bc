#pragma once

#include "forwarding/marks/program.hpp"
#include "kni/nftables/ruleset.hpp"

#include <expected>
#include <string>
#include <vector>

namespace nlvs::daemon {

/// A set in the form that packets look into; `elements[i]` of the kernel's set is element i here.
struct CompiledSet {
    forwarding::MarkSet set;
    std::vector<const nftables::Element*> elements;
};

/// Or one sentence on why it cannot be used. The verdicts are left to the caller, who knows where
/// chains begin.
std::expected<CompiledSet, std::string> compile_set(const nftables::Set& set);

}  // namespace nlvs::daemon
