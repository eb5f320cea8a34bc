#pragma once

#include "compat/net/bytes.hpp"
#include "forwarding/packet/checksum.hpp"
#include "forwarding/packet/headers/ipv4.hpp"
#include "forwarding/packet/headers/ipv6.hpp"
#include "forwarding/packet/parsed.hpp"

#include <cstddef>
#include <cstdint>

namespace nlvs::forwarding {

/// Direct routing changes nothing above layer 2 but the hop count, as every other method does.

/// True if the packet may travel one hop further; otherwise "time exceeded" is due.
/// Linux: ip_vs_xmit.c decrement_ttl.
inline bool may_be_forwarded(const Parsed& parsed) noexcept {
    return parsed.ttl > 1;
}

/// One hop less in the IP header at `l3`; the caller has checked may_be_forwarded.
template <class FamilyTag>
void decrement_ttl(std::byte* l3) noexcept {
    if constexpr (FamilyTag::family == net::Family::inet) {
        decrement_ttl(*net::header_at<Ipv4Header>(l3));
    } else {
        --net::header_at<Ipv6Header>(l3)->hop_limit;
    }
}

}  // namespace nlvs::forwarding
