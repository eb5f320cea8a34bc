#include "daemon/refused_devices.hpp"

#include "daemon/tunnel_publisher.hpp"

#include <algorithm>

namespace nlvs::daemon {
namespace {

bool is_of(const std::string& kind, std::initializer_list<const char*> kinds) {
    return std::ranges::any_of(kinds, [&kind](const char* one) { return kind == one; });
}

/// Why nothing is received by the device although one of its members is an interface of ours.
std::string reason_of_master(const kni::Link& master, const std::string& member) {
    if (master.kind == "bond") {
        return "the engine follows the modes balance-rr, active-backup, balance-xor and 802.3ad";
    }
    return "services get no packets through " + member +
           " while it is a port of it: take it out, or use VLAN, macvlan or bond devices";
}

std::string reason_of_tunnel(const kni::Link& link) {
    if (link.tunnel.remote.is_any()) return "without a remote address its packets are the kernel's";
    return "checksums, sequence numbers, outer UDP and external mode are the kernel's";
}

}  // namespace

std::vector<RefusedDevice> refused_devices(
    const kni::KernelState& state, const ShadowPorts& ports
) {
    std::vector<RefusedDevice> result;
    for (const auto& [index, entry] : state.links) {
        const kni::Link& link = entry.value;
        const kni::Link* master = link.master == 0 ? nullptr : state.link(link.master);
        const bool ours = ports.has(index);
        if (ours && master != nullptr && master->kind != "vrf" && !ports.is_member(link)) {
            result.push_back({master->name, master->kind, reason_of_master(*master, link.name)});
        }
        if (!ours && link.lower != 0 && ports.has(link.lower) &&
            is_of(link.kind, {"macvtap", "ipvlan", "ipvtap", "macsec", "vlan"})) {
            result.push_back({link.name, link.kind, "its packets are the kernel's"});
        }
        // The module's own devices exist in every namespace, and are down.
        if (link.up && is_of(link.kind, {"ipip", "sit", "ip6tnl", "gre", "ip6gre"}) &&
            !is_followed_tunnel(link)) {
            result.push_back({link.name, link.kind, reason_of_tunnel(link)});
        }
    }
    std::ranges::sort(result);
    result.erase(std::unique(result.begin(), result.end()), result.end());
    return result;
}

}  // namespace nlvs::daemon
