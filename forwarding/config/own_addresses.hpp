#pragma once

#include <cstdint>
#include <vector>

#include "compat/net/prefix.hpp"

namespace nlvs::forwarding {

/// What the host calls itself on its interfaces: the source of ICMP errors about packets that were
/// not for one of its addresses. Thread: immutable.
struct OwnAddresses {
    struct Entry {
        std::uint32_t interface = 0;
        net::IpAddress address;
        net::Prefix network;
    };

    std::vector<Entry> entries;  ///< preferred ones first

    /// The first address on `interface` in the same network as `towards`, else the first of its
    /// family there; null when there is none. Linux: devinet.c inet_select_addr.
    const net::IpAddress* find(std::uint32_t interface, const net::IpAddress& towards) const noexcept {
        const net::IpAddress* any = nullptr;
        for (const Entry& entry : entries) {
            if (entry.interface != interface || entry.address.family() != towards.family()) continue;
            if (entry.network.contains(towards)) return &entry.address;
            if (any == nullptr) any = &entry.address;
        }
        return any;
    }
};

}  // namespace nlvs::forwarding
