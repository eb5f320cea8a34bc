#include "daemon/nic_addresses.hpp"

namespace nlvs::daemon {

void NicAddresses::want(const std::set<net::MacAddress>& addresses, const net::MacAddress& own) {
    std::erase_if(added_, [&](const net::MacAddress& mac) {
        if (addresses.contains(mac) && mac != own) return false;
        // A device whose own address this has become lost nothing of its filter.
        if (mac != own) filter_.remove_mac(mac);
        return true;
    });
    overflow_ = false;
    for (const auto& mac : addresses) {
        if (mac == own || added_.contains(mac)) continue;
        if (filter_.add_mac(mac)) {
            added_.insert(mac);
        } else {
            overflow_ = true;
        }
    }
    settle();
}

void NicAddresses::want_groups(const std::set<net::MacAddress>& groups) {
    if (groups == groups_) return;
    groups_ = groups;
    groups_overflow_ = !filter_.set_groups(groups);
    settle();
}

void NicAddresses::want_everything(bool on) {
    wants_everything_ = on;
    settle();
}

void NicAddresses::settle() {
    const bool wanted = overflow_ || groups_overflow_ || wants_everything_;
    if (wanted == promiscuous_) return;
    filter_.set_promiscuous(wanted);
    promiscuous_ = wanted;
}

}  // namespace nlvs::daemon
