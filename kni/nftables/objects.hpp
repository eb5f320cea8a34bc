#pragma once

#include "compat/netlink/message.hpp"
#include "kni/nftables/ruleset.hpp"

namespace nlvs::nftables {

/// One object of a dump (NFT_MSG_NEWTABLE and the like) goes to its place in
/// the rule set; tables come before chains and sets, those before rules and elements. Anything
/// else is ignored: total.
void add_object(Ruleset& ruleset, const netlink::MessageView& message);

/// The set that elements in this message belong to, or no name.
struct SetName {
    std::uint8_t family = 0;
    std::string table, set;

    friend auto operator<=>(const SetName&, const SetName&) = default;
};

std::optional<SetName> set_of_elements(const netlink::MessageView& message);

/// The number of the generation in NFT_MSG_NEWGEN.
std::optional<std::uint32_t> generation_of(const netlink::MessageView& message);

}  // namespace nlvs::nftables
