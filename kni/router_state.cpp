#include "kni/router_state.hpp"

#include "compat/net/big_endian.hpp"
#include "compat/netlink/attribute.hpp"

#include <algorithm>

#include <linux/netconf.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <sys/socket.h>

namespace nlvs::kni {
namespace {

using netlink::Bytes;
using netlink::take_attribute;

void obstruct(RouterState& state, bool v4, bool v6, const std::string& what) {
    if (v4 && state.obstacle_v4.empty()) state.obstacle_v4 = what;
    if (v6 && state.obstacle_v6.empty()) state.obstacle_v6 = what;
}

bool passes_through(std::uint32_t hook) {
    return hook == NF_INET_PRE_ROUTING || hook == NF_INET_FORWARD || hook == NF_INET_POST_ROUTING;
}

}  // namespace

bool RouterState::forwards(net::Family family, std::uint32_t interface) const {
    const bool v4 = family == net::Family::inet;
    const auto found = interfaces.find(v4 ? interface : all);
    if (found == interfaces.end() || !obstacle(family).empty()) return false;
    return v4 ? found->second.forwards_v4 : found->second.forwards_v6;
}

RouterState::SourceCheck RouterState::source_check(std::uint32_t interface) const {
    const auto of = [this](std::uint32_t number) {
        const auto found = interfaces.find(number);
        return found == interfaces.end() ? SourceCheck::none : found->second.source_check;
    };
    return std::max(of(all), of(interface));
}

void take_settings(RouterState& state, const netlink::MessageView& message) {
    Bytes payload = message.payload();
    const auto header = net::extract<netconfmsg>(payload);
    const std::size_t size = netlink::aligned(sizeof(netconfmsg));
    if (!header || payload.size() < size) return;
    payload = payload.subspan(size);
    std::int32_t index = 0;
    std::int32_t forwarding = 0;
    std::int32_t check = 0;
    while (const auto attribute = take_attribute(payload)) {
        switch (attribute->type()) {
            case NETCONFA_IFINDEX:
                index = attribute->value<std::int32_t>();
                break;
            case NETCONFA_FORWARDING:
                forwarding = attribute->value<std::int32_t>();
                break;
            case NETCONFA_RP_FILTER:
                check = attribute->value<std::int32_t>();
                break;
            default:
                break;
        }
    }
    auto& interface = state.interfaces[static_cast<std::uint32_t>(index)];
    if (header->ncm_family == AF_INET) {
        interface.forwards_v4 = forwarding != 0;
        interface.source_check =
            static_cast<RouterState::SourceCheck>(std::clamp(check, std::int32_t{0}, 2));
    } else if (header->ncm_family == AF_INET6) {
        interface.forwards_v6 = forwarding != 0;
    }
}

void take_chain(RouterState& state, const netlink::MessageView& message) {
    const auto header = net::extract<nfgenmsg>(message.payload());
    if (!header) return;
    Bytes attributes = message.payload().subspan(std::min(sizeof(nfgenmsg), message.payload().size()));
    std::string table;
    std::string name;
    bool has_hook = false;
    std::uint32_t hook = 0;
    while (const auto attribute = take_attribute(attributes)) {
        if (attribute->type() == NFTA_CHAIN_TABLE) table = attribute->text();
        if (attribute->type() == NFTA_CHAIN_NAME) name = attribute->text();
        if (attribute->type() != NFTA_CHAIN_HOOK) continue;
        has_hook = true;
        Bytes nested = attribute->payload();
        while (const auto inner = take_attribute(nested)) {
            if (inner->type() == NFTA_HOOK_HOOKNUM) hook = inner->value<net::Be32>().host();
        }
    }
    if (!has_hook) return;
    const std::string what = "nftables chain " + table + " " + name;
    switch (header->nfgen_family) {
        case NFPROTO_IPV4: return obstruct(state, passes_through(hook), false, what);
        case NFPROTO_IPV6: return obstruct(state, false, passes_through(hook), what);
        case NFPROTO_INET:
            return obstruct(state, passes_through(hook), passes_through(hook), what);
        case NFPROTO_NETDEV: {
            const bool own = table.starts_with("nlvs-");
            return obstruct(state, !own, !own, what);
        }
        default: return;
    }
}

void take_policy(RouterState& state, const netlink::MessageView& message) {
    const auto policy = net::extract<xfrm_userpolicy_info>(message.payload());
    if (!policy || (policy->dir != XFRM_POLICY_OUT && policy->dir != XFRM_POLICY_FWD)) return;
    const std::uint16_t family = policy->sel.family;
    obstruct(state, family != AF_INET6, family != AF_INET, "IPsec policy");
}

void take_old_tables(RouterState& state, net::Family family, const std::string& names) {
    const auto end = names.find_first_of("\n ");
    if (names.empty() || end == 0) return;
    const bool v4 = family == net::Family::inet;
    obstruct(state, v4, !v4, "iptables table " + names.substr(0, end));
}

}  // namespace nlvs::kni
