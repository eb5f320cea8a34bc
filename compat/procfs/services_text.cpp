#include "compat/procfs/services_text.hpp"

#include "compat/net/big_endian.hpp"
#include "compat/procfs/address_text.hpp"
#include "compat/procfs/kernel_clock.hpp"
#include "compat/procfs/text.hpp"

#include <variant>

namespace nlvs::procfs {

namespace {

using ipvs::ServiceFlags;

std::string_view forwarding_name(std::uint32_t method) {
    switch (static_cast<ipvs::ForwardingMethod>(method)) {
        case ipvs::ForwardingMethod::local:
            return "Local";
        case ipvs::ForwardingMethod::tunnel:
            return "Tunnel";
        case ipvs::ForwardingMethod::direct_route:
            return "Route";
        case ipvs::ForwardingMethod::masquerade:
        case ipvs::ForwardingMethod::bypass:
            break;
    }
    return "Masq";
}

}  // namespace

std::string version_text(const ipvs::Information& information) {
    const std::uint32_t version = information.version;
    std::string text = "IP Virtual Server version ";
    append_decimal(text, (version >> 16) & 0xFF);
    text += '.';
    append_decimal(text, (version >> 8) & 0xFF);
    text += '.';
    append_decimal(text, version & 0xFF);
    text += " (size=";
    append_decimal(text, information.connection_table_size);
    text += ')';
    return text;
}

void append_services_header(std::string& out, const ipvs::Information& information) {
    out += version_text(information);
    out +=
        "\nProt LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n";
}

void append_service(std::string& out, const ipvs::ServiceView& service) {
    const ServiceFlags flags = service.spec.flags;
    bool shows_one_packet = flags.has(ServiceFlags::one_packet);
    if (const auto* mark = std::get_if<ipvs::FirewallMarkKey>(&service.key)) {
        out += "FWM  ";
        append_hex(out, mark->mark, 8, '0');
        out += ' ';
        out += service.spec.scheduler;
        out += ' ';
        if (shows_one_packet) out += "ops ";
    } else {
        const auto& endpoint = std::get<ipvs::EndpointKey>(service.key);
        const bool v6 = endpoint.address.is_v6();
        out += protocol_name(endpoint.protocol);
        out += v6 ? "  [" : "  ";
        append_address(out, endpoint.address);
        out += v6 ? "]:" : ":";
        append_port(out, endpoint.port);
        out += ' ';
        out += service.spec.scheduler;
        out += ' ';
        // The IPv4 format has one field more than the IPv6 one: "ops " or nothing, then a blank.
        if (!v6) out += shows_one_packet ? "ops  " : " ";
    }
    if (flags.has(ServiceFlags::persistent)) {
        out += "persistent ";
        append_decimal(out, static_cast<std::int32_t>(kept_jiffies(service.spec.timeout)));
        out += ' ';
        append_hex(out, net::Be32::from_wire(service.spec.netmask).host(), 8, '0');
    }
    out += '\n';
}

void append_destination(std::string& out, const ipvs::DestinationView& destination) {
    const ipvs::DestinationSpec& spec = destination.spec;
    const bool v6 = spec.key.address.is_v6();
    out += v6 ? "  -> [" : "  -> ";
    append_address(out, spec.key.address);
    out += v6 ? "]:" : ":";
    append_port(out, spec.key.port);
    out += "      ";
    append_left(out, forwarding_name(spec.forwarding), 7);
    out += ' ';
    append_decimal_left(out, spec.weight, 6);
    out += ' ';
    append_decimal_left(out, static_cast<std::int32_t>(destination.active_connections), 10);
    out += ' ';
    append_decimal_left(out, static_cast<std::int32_t>(destination.inactive_connections), 10);
    out += '\n';
}

}  // namespace nlvs::procfs
