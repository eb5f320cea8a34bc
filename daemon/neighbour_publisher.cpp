#include "daemon/neighbour_publisher.hpp"

#include <algorithm>
#include <utility>

namespace nlvs::daemon {
namespace {

bool is_multicast(const net::IpAddress& address) {
    const auto first = address.bytes()[0];
    return address.is_v4() ? first >= 224 : first == 0xFF;
}

}  // namespace

NeighbourPublisher::NeighbourPublisher(
    forwarding::Configuration& configuration,
    forwarding::Reclaimer& reclaimer,
    kni::NeighbourResolver& resolver,
    const ShadowPorts& ports,
    const kni::KernelState& state
)
    : configuration_{configuration},
      reclaimer_{reclaimer},
      resolver_{resolver},
      ports_{ports},
      state_{state},
      ids_{std::make_shared<SlotAllocator<forwarding::AdjacencyId>>(
          static_cast<std::uint32_t>(forwarding::AdjacencyTable::capacity)
      )} {}

NeighbourPublisher::~NeighbourPublisher() {
    for (auto& [key, entry] : entries_) delete entry.slot->node.exchange(nullptr);
}

const forwarding::AdjacencySlot* NeighbourPublisher::pin(const kni::NeighbourKey& key) {
    Entry* entry = ensure(key);
    if (entry == nullptr) return nullptr;
    if (entry->pins++ == 0) {
        if (key.address.is_any()) {
            publish(*entry, tunnel_adjacency(key.interface));
        } else {
            keep(key, *entry);
        }
    }
    return entry->slot;
}

void NeighbourPublisher::unpin(const kni::NeighbourKey& key) {
    const auto found = entries_.find(key);
    if (found == entries_.end() || found->second.pins == 0) return;
    if (--found->second.pins == 0) {
        if (std::exchange(found->second.kept, false)) resolver_.release(key);
        drop_if_unused(key);
    }
}

void NeighbourPublisher::neighbour_changed(const kni::NeighbourKey& key) {
    if (is_multicast(key.address)) return;
    refresh(key);
    const auto found = entries_.find(key);
    if (found == entries_.end() || found->second.pins == 0) return;
    Entry& entry = found->second;
    const kni::Neighbour* neighbour = state_.neighbour(key);
    // An administrator's "ip neigh replace" takes the kernel's care away.
    const bool managed = neighbour != nullptr && neighbour->managed;
    const bool dropped = neighbour == nullptr || (entry.managed && !managed);
    entry.managed = managed;
    if (neighbour != nullptr && neighbour->permanent()) {
        if (std::exchange(entry.kept, false)) resolver_.forget(key);
    } else if (dropped || !entry.kept) {
        keep(key, entry);
    }
}

void NeighbourPublisher::set_tunnel(
    std::uint32_t interface, const std::optional<forwarding::TunnelWay>& way
) {
    if (way) {
        tunnels_.insert_or_assign(interface, *way);
    } else {
        tunnels_.erase(interface);
    }
    for (auto& [key, entry] : entries_) {
        if (key.interface == interface) publish(entry, tunnel_adjacency(interface));
    }
}

std::unique_ptr<const forwarding::Adjacency> NeighbourPublisher::tunnel_adjacency(
    std::uint32_t interface
) const {
    const auto found = tunnels_.find(interface);
    const kni::Link* link = state_.link(interface);
    if (found == tunnels_.end() || link == nullptr || !link->up) return nullptr;
    auto result = std::make_unique<forwarding::Adjacency>();
    result->interface = interface;
    result->mtu = static_cast<std::uint16_t>(std::min(link->mtu, 0xFFFFU));
    result->tunnel = std::make_unique<const forwarding::TunnelWay>(found->second);
    return result;
}

/// Not for an entry that the administrator made permanent: it would stop being so. The neighbours
/// of tunnel devices are not the kernel's.
void NeighbourPublisher::keep(const kni::NeighbourKey& key, Entry& entry) {
    if (key.address.is_any()) return;
    const kni::Neighbour* neighbour = state_.neighbour(key);
    if (neighbour != nullptr && neighbour->permanent()) return;
    entry.kept = true;
    resolver_.keep(key);
}

void NeighbourPublisher::links_changed(const std::vector<std::uint32_t>& interfaces) {
    const auto concerned = [&interfaces](const kni::NeighbourKey& key) {
        return std::ranges::count(interfaces, key.interface) != 0;
    };
    std::vector<kni::NeighbourKey> keys;
    for (const auto& [key, entry] : entries_) {
        if (concerned(key)) keys.push_back(key);
    }
    // What was announced before its interface, or before that could be reached through a port.
    for (const auto& [key, neighbour] : state_.neighbours) {
        if (concerned(key) && !entries_.contains(key) && !is_multicast(key.address)) {
            keys.push_back(key);
        }
    }
    for (const auto& key : keys) {
        refresh(key);
        // The kernel has forgotten its neighbours with the link.
        const auto found = entries_.find(key);
        const kni::Link* link = state_.link(key.interface);
        const bool forgotten = found != entries_.end() && found->second.pins != 0 &&
                               !found->second.known && link != nullptr && link->up;
        if (forgotten) keep(key, found->second);
    }
}

NeighbourPublisher::Entry* NeighbourPublisher::ensure(const kni::NeighbourKey& key) {
    if (const auto found = entries_.find(key); found != entries_.end()) return &found->second;
    const auto id = ids_->allocate();
    if (!id || !configuration_.adjacencies.ensure(id->value)) return nullptr;
    Entry& entry = entries_[key];
    entry.id = *id;
    entry.slot = &configuration_.adjacencies[id->value];
    auto node = std::make_unique<forwarding::Neighbour>();
    node->key = {key.interface, key.address};
    node->adjacency = *id;
    node->slot = entry.slot;
    configuration_.neighbours.insert(std::move(node), reclaimer_);
    configuration_.routing_generation.fetch_add(1, std::memory_order_release);
    return &entry;
}

void NeighbourPublisher::drop_if_unused(const kni::NeighbourKey& key) {
    const auto found = entries_.find(key);
    if (found == entries_.end() || found->second.pins != 0 || found->second.known) return;
    publish(found->second, nullptr);
    configuration_.neighbours.remove({key.interface, key.address}, reclaimer_);
    configuration_.routing_generation.fetch_add(1, std::memory_order_release);
    reclaimer_.retire([ids = ids_, id = found->second.id] { ids->release(id); });
    entries_.erase(found);
}

void NeighbourPublisher::publish(Entry& entry, std::unique_ptr<const forwarding::Adjacency> node) {
    const auto* old = entry.slot->node.exchange(node.release(), std::memory_order_acq_rel);
    reclaimer_.retire(std::unique_ptr<const forwarding::Adjacency>{old});
}

void NeighbourPublisher::refresh(const kni::NeighbourKey& key) {
    if (key.address.is_any()) {
        const auto tunnel = entries_.find(key);
        if (tunnel != entries_.end()) publish(tunnel->second, tunnel_adjacency(key.interface));
        return;
    }
    const kni::Neighbour* neighbour = state_.neighbour(key);
    const auto way = ports_.way(key.interface);
    const bool known = way && neighbour != nullptr && !neighbour->proxy;
    const auto found = entries_.find(key);
    Entry* entry = found != entries_.end() ? &found->second : known ? ensure(key) : nullptr;
    if (entry == nullptr) return;
    entry->known = known;
    const bool usable = known && neighbour->usable() && way->up;
    publish(*entry, usable ? build_adjacency(*way, *neighbour) : nullptr);
    drop_if_unused(key);
}

}  // namespace nlvs::daemon
