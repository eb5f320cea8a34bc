#pragma once

#include "kni/nftables/ruleset.hpp"

#include <set>
#include <string>
#include <vector>

namespace nlvs::nftables {

/// The part of a table that has a say in the firewall mark of a packet on its way to IPVS.
struct Selection {
    /// Chains of hooks from which a rule that may change the mark can be reached.
    std::vector<const Chain*> hooks;
    /// These and every chain that they can reach.
    std::set<const Chain*> chains;
    /// Sets that rules of these chains look into, by name.
    std::set<std::string> sets;
};

/// Elements of verdict maps must be there: they lead to chains. Of the hooks only prerouting and
/// input with a priority that runs before IPVS count; chains of type nat see no packet that IPVS
/// then takes without their changing it, and are left out.
Selection select(const Table& table);

/// Linux: ip_vs_core.c ip_vs_ops4 — NF_IP_PRI_NAT_SRC - 1 at LOCAL_IN.
inline constexpr std::int32_t ipvs_priority = 99;

}  // namespace nlvs::nftables
