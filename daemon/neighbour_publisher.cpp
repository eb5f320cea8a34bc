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
    if (entry->pins++ == 0) keep(key, *entry);
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

/// Not for an entry that the administrator made permanent: it would stop being so.
void NeighbourPublisher::keep(const kni::NeighbourKey& key, Entry& entry) {
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
