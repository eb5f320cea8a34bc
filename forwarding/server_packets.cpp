/// The pipeline's part for packets of no connection that a masqueraded real server sends.
/// Linux: ip_vs_core.c ip_vs_out_hook, after its look-up found nothing.

#include "forwarding/pipeline.hpp"

namespace nlvs::forwarding {
namespace {

/// A packet that must not be answered by an error. Linux: is_tcp_reset, is_sctp_abort.
bool is_reset(const Parsed& parsed) noexcept {
    constexpr std::uint8_t sctp_abort = 6;
    switch (static_cast<net::IpProtocol>(parsed.protocol)) {
        case net::IpProtocol::tcp: return (parsed.tcp_flags & TcpFlags::rst) != 0;
        case net::IpProtocol::sctp: return parsed.tcp_flags == sctp_abort;
        default: return false;
    }
}

}  // namespace

/// True if the packet has been dealt with: it begins a call of a service with a persistence
/// engine, or the server is told that nobody waits for it (sysctl nat_icmp_send).
template <class F>
bool Pipeline::take_from_server(const PacketContext& context) noexcept {
    const auto& key = context.parsed.template flow<F>();
    if (context.parsed.protocol != key.protocol) return false;  // AH, ESP
    const Configuration& configuration = shared_.configuration;
    const RealServerKey server{key.protocol, key.source, key.source_port};
    const CallingServer* calling = configuration.calling_servers.find(server);
    const Service* service = calling == nullptr || is_local<F>(key.destination)
                                 ? nullptr
                                 : configuration.services.find(calling->service);
    if (service != nullptr) {
        Connection<F> one_packet{};
        const auto opened =
            lifecycle_.open_from_server<F>(context, *service, calling->destination, one_packet);
        if (opened.connection != nullptr) {
            reply<F>(context, *opened.connection);
            if (opened.connection == &one_packet) lifecycle_.unbind(one_packet);
            return true;
        }
    }
    if (context.settings.sysctls.nat_icmp_send == 0 || is_reset(context.parsed) ||
        configuration.real_servers.find(server) == nullptr) {
        return false;
    }
    // Linux: ip_forward.c ip_forward — a packet on its way has lost a hop before IPVS sees it.
    if (!is_local<F>(key.destination) && may_be_forwarded(context.parsed)) {
        decrement_ttl<F>(context.l3());
    }
    transmit_.reject<F>(context, IcmpError::port_unreachable, 0, DropReason::unexpected_reply);
    return true;
}

template bool Pipeline::take_from_server<V4>(const PacketContext&) noexcept;
template bool Pipeline::take_from_server<V6>(const PacketContext&) noexcept;

}  // namespace nlvs::forwarding
