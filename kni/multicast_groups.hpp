#pragma once

#include "compat/net/mac_address.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string_view>

namespace nlvs::kni {

/// The multicast groups that an interface receives, by its index: those of addresses and sockets, of
/// devices that stand on it, and those of `ip maddr add`, which no message announces.
using MulticastGroups = std::map<std::uint32_t, std::set<net::MacAddress>>;

/// The text of /proc/net/dev_mcast. Linux: net/core/net-procfs.c dev_mc_seq_show.
MulticastGroups parse_multicast_groups(std::string_view text);

/// As they are now.
MulticastGroups read_multicast_groups();

}  // namespace nlvs::kni
