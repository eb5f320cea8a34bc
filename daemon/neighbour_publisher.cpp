#include "daemon/neighbour_publisher.hpp"

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
    if (entry->pins++ == 0) keep(key);
    return entry->slot;
}

void NeighbourPublisher::unpin(const kni::NeighbourKey& key) {
    const auto found = entries_.find(key);
    if (found == entries_.end() || found->second.pins == 0) return;
    if (--found->second.pins == 0) {
        resolver_.release(key);
        drop_if_unused(key);
    }
}

void NeighbourPublisher::neighbour_changed(const kni::Neighbour& neighbour, bool present) {
    if (neighbour.proxy || is_multicast(neighbour.address) || !ports_.has(neighbour.interface))
        return;
    const kni::NeighbourKey key{neighbour.interface, neighbour.address};
    if (present) {
        Entry* entry = ensure(key);
        if (entry == nullptr) return;
        entry->known = true;
        refresh(key, *entry);
        return;
    }
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    found->second.known = false;
    publish(found->second, nullptr);
    if (found->second.pins != 0) keep(key);
    drop_if_unused(key);
}

/// An entry that the administrator made permanent would stop being so.
void NeighbourPublisher::keep(const kni::NeighbourKey& key) {
    const kni::Neighbour* neighbour = state_.neighbour(key);
    if (neighbour == nullptr || !neighbour->permanent()) resolver_.keep(key);
}

void NeighbourPublisher::link_changed(std::uint32_t interface) {
    const kni::Link* link = state_.link(interface);
    for (auto& [key, entry] : entries_) {
        if (key.interface != interface) continue;
        refresh(key, entry);
        // The kernel has forgotten its neighbours with the link.
        if (entry.pins != 0 && !entry.known && link != nullptr && link->up) keep(key);
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

void NeighbourPublisher::refresh(const kni::NeighbourKey& key, Entry& entry) {
    const kni::Neighbour* neighbour = state_.neighbour(key);
    const auto way = ports_.way(key.interface);
    const bool usable = neighbour != nullptr && neighbour->usable() && way && way->up;
    publish(entry, usable ? build_adjacency(*way, *neighbour) : nullptr);
}

}  // namespace nlvs::daemon
