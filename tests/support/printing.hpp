#pragma once

// How the values of compat/ipvs appear in a failed BOOST_TEST.

#include "compat/ipvs/control.hpp"

#include <ostream>

namespace nlvs::net {

inline std::ostream& operator<<(std::ostream& out, const IpAddress& address) {
    return out << print(address);
}

inline std::ostream& operator<<(std::ostream& out, Port port) {
    return out << port.host();
}

}  // namespace nlvs::net

namespace nlvs::ipvs {

inline std::ostream& operator<<(std::ostream& out, Error error) {
    return out << "Error " << static_cast<int>(error) << " (errno "
               << to_errno(error, Door::netlink) << ")";
}

inline std::ostream& operator<<(std::ostream& out, const EndpointKey& key) {
    return out << key.protocol << ' ' << key.address << ' ' << key.port;
}

inline std::ostream& operator<<(std::ostream& out, const FirewallMarkKey& key) {
    return out << "mark " << key.mark << " family " << static_cast<int>(key.family);
}

inline std::ostream& operator<<(std::ostream& out, const ServiceSpec& spec) {
    return out << spec.scheduler << " pe=" << spec.persistence_engine
               << " flags=" << spec.flags.word << '/' << spec.flags_mask
               << " timeout=" << spec.timeout << " netmask=" << spec.netmask
               << " beside mark=" << spec.beside_mark.protocol << ' '
               << spec.beside_mark.address.host() << ' ' << spec.beside_mark.port;
}

inline std::ostream& operator<<(std::ostream& out, const DestinationKey& key) {
    return out << key.address << ' ' << key.port;
}

inline std::ostream& operator<<(std::ostream& out, const DestinationSpec& spec) {
    return out << spec.key << " forwarding=" << spec.forwarding << " weight=" << spec.weight
               << " thresholds=" << spec.upper_threshold << '/' << spec.lower_threshold
               << " tunnel=" << static_cast<int>(spec.tunnel.type) << ' ' << spec.tunnel.port << ' '
               << spec.tunnel.flags << " flags=" << spec.flags;
}

inline std::ostream& operator<<(std::ostream& out, const Timeouts& timeouts) {
    return out << timeouts.tcp << ' ' << timeouts.tcp_fin << ' ' << timeouts.udp;
}

inline std::ostream& operator<<(std::ostream& out, const SyncDaemonConfig& daemon) {
    return out << daemon.state << ' ' << daemon.interface << " id=" << daemon.sync_id
               << " maxlen=" << daemon.max_length << ' ' << daemon.group << ' ' << daemon.port
               << " ttl=" << static_cast<int>(daemon.ttl);
}

}  // namespace nlvs::ipvs
