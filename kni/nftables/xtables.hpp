#pragma once

#include "compat/netlink/attribute.hpp"
#include "kni/nftables/ruleset.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace nlvs::nftables {

/// What iptables-nft hands to the kernel in the form of xtables: a match or a target by name and
/// revision, with a C structure as its parameters. Total: what is not known is Inexpressible.
/// Linux: nft_compat.c and the xt_*.c of each name.
std::vector<Expression> decode_match(
    std::string_view name, std::uint32_t revision, netlink::Bytes parameters
);
std::vector<Expression> decode_target(
    std::string_view name, std::uint32_t revision, netlink::Bytes parameters
);

}  // namespace nlvs::nftables
