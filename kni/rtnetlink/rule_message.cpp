#include "kni/rtnetlink/fields.hpp"

#include <linux/fib_rules.h>

namespace nlvs::kni {
namespace {

using netlink::AttributeView;
using netlink::take_attribute;

Rule::Ports ports_of(const AttributeView& attribute) {
    const auto range = attribute.value<fib_rule_port_range>();
    return {range.start, range.end};
}

void set_address(net::Prefix& prefix, const AttributeView& attribute, const fib_rule_hdr& header, unsigned length) {
    if (const auto address = address_of(attribute.payload(), header.family)) {
        prefix = {*address, length};
    }
}

/// True if the attribute makes the rule selective.
bool take_selector(Rule& rule, const AttributeView& attribute, const fib_rule_hdr& header) {
    switch (attribute.type()) {
        case FRA_DST: set_address(rule.destination, attribute, header, header.dst_len); return true;
        case FRA_SRC: set_address(rule.source, attribute, header, header.src_len); return true;
        case FRA_IIFNAME: rule.input = attribute.text(); return true;
        case FRA_OIFNAME: rule.output = attribute.text(); return true;
        case FRA_FWMARK: rule.mark = attribute.value<std::uint32_t>(); return true;
        case FRA_FWMASK: rule.mark_mask = attribute.value<std::uint32_t>(); return true;
        case FRA_L3MDEV: rule.vrf = attribute.value<std::uint8_t>() != 0; return rule.vrf;
        case FRA_IP_PROTO: rule.protocol = attribute.value<std::uint8_t>(); return true;
        case FRA_SPORT_RANGE: rule.source_ports = ports_of(attribute); return true;
        case FRA_DPORT_RANGE: rule.destination_ports = ports_of(attribute); return true;
        case FRA_UID_RANGE:
        case FRA_TUN_ID: rule.foreign = true; return true;
        default: return false;
    }
}

void take_parameter(Rule& rule, const AttributeView& attribute) {
    switch (attribute.type()) {
        case FRA_PRIORITY: rule.priority = attribute.value<std::uint32_t>(); break;
        case FRA_TABLE: rule.table = attribute.value<std::uint32_t>(); break;
        case FRA_GOTO: rule.jump_to = attribute.value<std::uint32_t>(); break;
        case FRA_SUPPRESS_PREFIXLEN:
            rule.suppress_length = static_cast<std::int32_t>(attribute.value<std::uint32_t>());
            break;
        case FRA_SUPPRESS_IFGROUP: rule.foreign |= attribute.value<std::uint32_t>() != ~0U; break;
        default: break;
    }
}

}  // namespace

/// Linux: fib_rules.c fib_nl_fill_rule.
Decoded decode_rule(netlink::Bytes payload) {
    const auto header = take_header<fib_rule_hdr>(payload);
    if (!header) return std::unexpected{Ignored::malformed};
    if (!is_ip(header->family)) return std::unexpected{Ignored::family};
    Rule rule;
    rule.family = static_cast<net::Family>(header->family);
    rule.table = header->table;
    rule.action = header->action;
    rule.type_of_service = header->tos;
    rule.inverted = (header->flags & FIB_RULE_INVERT) != 0;
    rule.selective = header->tos != 0 || rule.inverted;
    // Whether the named interfaces exist is said by the links, and changes with them.
    fib_rule_hdr identity = *header;
    identity.flags &= FIB_RULE_INVERT;
    for (const std::byte byte : net::as_bytes_of(identity)) {
        rule.selector.push_back(static_cast<char>(byte));
    }
    bool has_mask = false;
    while (const auto attribute = take_attribute(payload)) {
        take_parameter(rule, *attribute);
        rule.selective |= take_selector(rule, *attribute, *header);
        has_mask |= attribute->type() == FRA_FWMASK;
        rule.selector.push_back(static_cast<char>(attribute->type()));
        for (const std::byte byte : attribute->payload()) {
            rule.selector.push_back(static_cast<char>(byte));
        }
    }
    if (rule.mark != 0 && !has_mask) rule.mark_mask = ~0U;
    return rule;
}

}  // namespace nlvs::kni
