#pragma once

#include "forwarding/marks/program.hpp"
#include "kni/nftables/ruleset.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace nlvs::daemon {

/// A rule that has a say in marks, and whether nlvsd can follow it.
struct MarkRule {
    std::uint8_t family = 0;  ///< NFPROTO_*
    std::string table, chain;
    std::uint64_t handle = 0;
    std::string reason;  ///< why it cannot be followed; empty if it can

    friend auto operator<=>(const MarkRule&, const MarkRule&) = default;
};

struct CompiledMarks {
    std::unique_ptr<forwarding::MarkProgram> v4, v6;  ///< null: no rule sets a mark
    std::vector<MarkRule> rules;                      ///< in the order of the tables
};

/// By ifindex.
using InterfaceNames = std::map<std::uint32_t, std::string>;

/// The programs that give packets the marks which `ruleset` would. Rules without influence on a
/// mark are left out.
///
/// A rule is never followed in part. Where it asks what only the kernel knows, the packets that it
/// may concern (those that meet all its other conditions) end up with an unknown mark or undecided.
CompiledMarks compile_marks(const nftables::Ruleset& ruleset, const InterfaceNames& names);

}  // namespace nlvs::daemon
