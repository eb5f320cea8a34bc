#pragma once

#include "compat/net/ip_address.hpp"
#include "compat/net/port.hpp"

#include <cstdint>
#include <string>

namespace nlvs::procfs {

/// 0A000001, or the uncompressed 2001:0db8:0000:… of %pI6.
void append_address(std::string& out, const net::IpAddress& address);

/// %04X.
void append_port(std::string& out, net::Port port);

/// TCP, UDP, SCTP, ICMP, ICMPv6, IP; IP_47 for the rest. Linux: ip_vs_proto.c ip_vs_proto_name.
std::string protocol_name(std::uint16_t protocol);

}  // namespace nlvs::procfs
