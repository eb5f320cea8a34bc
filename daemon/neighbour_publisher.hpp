#pragma once

#include "daemon/adjacency_builder.hpp"
#include "daemon/slot_allocator.hpp"
#include "forwarding/config/configuration.hpp"
#include "kni/kernel_state.hpp"
#include "kni/neighbour_keeper.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace nlvs::daemon {

/// Makes the kernel's neighbours visible to workers: a slot for each (interface, address), in it
/// the Ethernet header while the neighbour is resolved.
///
/// A slot exists while the kernel knows the neighbour or somebody pins it; a pinned one the
/// kernel is asked to keep resolved. A freed slot is reused one grace period later, and the
/// routing generation grows with every slot that comes or goes, so that a next hop cached by a
/// connection never outlives its slot.
/// Thread: control.
class NeighbourPublisher {
public:
    NeighbourPublisher(
        forwarding::Configuration& configuration,
        forwarding::Reclaimer& reclaimer,
        kni::NeighbourResolver& resolver,
        const ShadowPorts& ports,
        const kni::KernelState& state
    );
    NeighbourPublisher(const NeighbourPublisher&) = delete;
    NeighbourPublisher& operator=(const NeighbourPublisher&) = delete;
    /// Workers must be gone.
    ~NeighbourPublisher();

    /// The slot, valid until as many unpins. Null when slots are exhausted.
    const forwarding::AdjacencySlot* pin(const kni::NeighbourKey& key);
    void unpin(const kni::NeighbourKey& key);

    /// The kernel's entry came, went or is another one.
    void neighbour_changed(const kni::NeighbourKey& key);
    /// Ways, headers and states of everything behind these interfaces may be others now.
    void links_changed(const std::vector<std::uint32_t>& interfaces);

    /// What is behind a tunnel device from now on.
    void set_tunnel(std::uint32_t interface, const std::optional<forwarding::TunnelWay>& way);

    std::size_t size() const noexcept { return entries_.size(); }

private:
    struct Entry {
        forwarding::AdjacencyId id;
        forwarding::AdjacencySlot* slot = nullptr;
        std::uint32_t pins = 0;
        bool known = false;    ///< to the kernel, and there is a way to it
        bool kept = false;     ///< the kernel was asked, and has not dropped it since
        bool managed = false;  ///< the kernel said that it does
    };

    Entry* ensure(const kni::NeighbourKey& key);
    void drop_if_unused(const kni::NeighbourKey& key);
    void publish(Entry& entry, std::unique_ptr<const forwarding::Adjacency> node);
    /// Makes slot and header what links and neighbours say now.
    void refresh(const kni::NeighbourKey& key);
    void keep(const kni::NeighbourKey& key, Entry& entry);
    std::unique_ptr<const forwarding::Adjacency> tunnel_adjacency(std::uint32_t interface) const;

    forwarding::Configuration& configuration_;
    forwarding::Reclaimer& reclaimer_;
    kni::NeighbourResolver& resolver_;
    const ShadowPorts& ports_;
    const kni::KernelState& state_;
    std::unordered_map<std::uint32_t, forwarding::TunnelWay> tunnels_;  ///< by ifindex
    std::unordered_map<kni::NeighbourKey, Entry, kni::KeyHash> entries_;
    /// Shared with the reclaimer's actions, which may run last.
    std::shared_ptr<SlotAllocator<forwarding::AdjacencyId>> ids_;
};

}  // namespace nlvs::daemon
