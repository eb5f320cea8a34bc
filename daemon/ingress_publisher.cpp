#include "daemon/ingress_publisher.hpp"

#include "forwarding/packet/parsed.hpp"

#include <memory>
#include <utility>

namespace nlvs::daemon {
namespace {

forwarding::IngressKey key_of(const Way& way) {
    std::array<std::uint16_t, Way::most_tags> codes{};
    for (std::size_t i = 0; i < way.tag_count; ++i) {
        codes[i] = forwarding::tag_code(way.tags[i].ether_type, way.tags[i].id);
    }
    return {way.port, forwarding::station_word(way.mac), codes};
}

}  // namespace

void IngressPublisher::refresh() {
    Entries entries;
    std::map<forwarding::PortIndex, Addresses> addresses;
    for (const auto& [index, link] : state_.links) {
        const auto way = ports_.way(index);
        if (!way || way->mac == net::MacAddress{}) continue;
        // The NIC keeps its own address while the shadow is down.
        if (way->up || ports_.shadow(index)) addresses[way->port].insert(way->mac);
        if (!way->up) continue;
        // Two interfaces with one address in one VLAN (a macvlan in passthru mode): the upper one.
        const auto [entry, is_new] = entries.try_emplace(key_of(*way), receiver(link.value));
        if (!is_new && ports_.shadow(entry->second.interface)) entry->second = receiver(link.value);
    }
    publish(entries);
    for (const auto& [port, now] : addresses) {
        if (addresses_[port] != now && changed_) changed_(port, now);
    }
    addresses_ = std::move(addresses);
}

/// Linux: drivers/net/vrf.c vrf_ip_rcv — to the stack a packet comes in by the VRF device.
IngressPublisher::Receiver IngressPublisher::receiver(const kni::Link& link) const {
    const kni::Link* master = link.master == 0 ? nullptr : state_.link(link.master);
    if (master == nullptr || master->kind != "vrf") return {link.index, link.index, 0};
    return {link.index, master->index, master->table};
}

void IngressPublisher::publish(const Entries& next) {
    for (const auto& [key, receiver] : next) {
        const auto found = entries_.find(key);
        if (found != entries_.end() && found->second == receiver) continue;
        auto node = std::make_unique<forwarding::Ingress>();
        node->key = key;
        node->interface = receiver.interface;
        node->input = receiver.input;
        node->vrf_table = receiver.vrf_table;
        configuration_.ingress.insert(std::move(node), reclaimer_);
    }
    for (const auto& [key, receiver] : entries_) {
        if (!next.contains(key)) configuration_.ingress.remove(key, reclaimer_);
    }
    entries_ = next;
}

}  // namespace nlvs::daemon
