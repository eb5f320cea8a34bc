#pragma once

#include "forwarding/packet_context.hpp"
#include "forwarding/transmit/transmit.hpp"
#include "forwarding/worker_state.hpp"

namespace nlvs::forwarding {

/// Routes what is no business of a service: real servers' own traffic through the director, direct
/// answers that pass by.
///
/// Only the plain case: a whole packet that is to leave by another interface than it came in by,
/// with hops left, without options, that fits, whose sender is plausible and whose next hop is
/// resolved. Everything else is the kernel's, which then does what a router does: ICMP errors,
/// redirects, options, fragments, resolving of neighbours. So there is one router's worth of rules
/// and rates, Linux's, and a packet that the kernel would drop for a reason not known here never
/// passes. Where netfilter or IPsec have a say, nothing is routed here (kni::RouterState).
/// Thread: its worker.
class PlainRouter {
public:
    PlainRouter(Shared& shared, WorkerState& worker, Transmit& transmit) noexcept
        : shared_{shared}, worker_{worker}, transmit_{transmit} {}

    /// True if the packet has been sent; false: nothing was done to it.
    bool forward(const PacketContext& context) noexcept {
        const Configuration& configuration = shared_.configuration;
        if (context.parsed.family == net::Family::inet) {
            return configuration.forwards_v4.load(std::memory_order_relaxed) && forward<V4>(context);
        }
        return configuration.forwards_v6.load(std::memory_order_relaxed) && forward<V6>(context);
    }

private:
    template <class F>
    bool forward(const PacketContext& context) noexcept;
    template <class F>
    bool is_plausible(const Ingress& ingress, const RouteQuery& query) const noexcept;

    Shared& shared_;
    WorkerState& worker_;
    Transmit& transmit_;
};

}  // namespace nlvs::forwarding
