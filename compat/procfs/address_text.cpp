#include "compat/procfs/address_text.hpp"

#include "compat/net/ip_protocol.hpp"
#include "compat/procfs/text.hpp"

namespace nlvs::procfs {

void append_address(std::string& out, const net::IpAddress& address) {
    if (address.is_v4()) {
        append_hex(out, address.v4().host(), 8, '0');
        return;
    }
    constexpr std::string_view digits = "0123456789abcdef";
    for (std::size_t i = 0; i < address.bytes().size(); ++i) {
        if (i != 0 && i % 2 == 0) out += ':';
        out += digits[address.bytes()[i] >> 4];
        out += digits[address.bytes()[i] & 15];
    }
}

void append_port(std::string& out, net::Port port) {
    append_hex(out, port.host(), 4, '0');
}

std::string protocol_name(std::uint16_t protocol) {
    using net::IpProtocol;
    if (protocol <= 0xFF) {
        const auto known = static_cast<IpProtocol>(protocol);
        if (known == IpProtocol::tcp) return "TCP";
        if (known == IpProtocol::udp) return "UDP";
        if (known == IpProtocol::sctp) return "SCTP";
        if (known == IpProtocol::icmp) return "ICMP";
        if (known == IpProtocol::icmpv6) return "ICMPv6";
        if (known == IpProtocol::ip) return "IP";
    }
    return "IP_" + std::to_string(protocol);
}

}  // namespace nlvs::procfs
