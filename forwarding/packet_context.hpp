#pragma once

#include <rte_mbuf.h>

#include "forwarding/config/settings.hpp"
#include "forwarding/config/tunnel_table.hpp"
#include "forwarding/connections/flow_index.hpp"
#include "forwarding/identifiers.hpp"
#include "forwarding/packet/parse.hpp"

namespace nlvs::forwarding {

/// A packet on its way through the pipeline and what is known about it; lives for one iteration.
/// Whoever sends, hands over, punts or drops `packet` owns it from then on.
struct PacketContext {
    rte_mbuf* packet;
    const Parsed& parsed;
    const Settings& settings;
    std::uint64_t hash;
    PortIndex port;   ///< where it came in
    bool taken_over;  ///< another worker received it and found that it is ours
    Time now;
    bool from_host = false;  ///< the kernel sent it through the shadow interface of `port`
    FlowReference hint{};    ///< ConnectionTable::prefetch_entry's
    const TunnelIngress* tunnel = nullptr;  ///< the packet is what came out of it

    /// The same for a piece of the packet.
    PacketContext with(rte_mbuf* piece) const noexcept {
        return {piece, parsed, settings, hash, port, taken_over, now, from_host, hint, tunnel};
    }

    /// The same packet after its lengths have changed.
    PacketContext with(const Parsed& changed) const noexcept {
        return {packet, changed, settings, hash, port, taken_over, now, from_host};
    }

    std::byte* data() const noexcept { return rte_pktmbuf_mtod(packet, std::byte*); }

    std::byte* l3() const noexcept { return data() + parsed.l3_offset; }

    std::byte* l4() const noexcept { return data() + parsed.l4_offset; }
};

}  // namespace nlvs::forwarding
