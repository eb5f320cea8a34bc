#pragma once

#include <cstddef>
#include <cstdint>

#include "forwarding/connections/connection.hpp"
#include "forwarding/connections/reserved_region.hpp"
#include "forwarding/packet/flow.hpp"
#include "forwarding/sync/sync_policy.hpp"

namespace nlvs::forwarding {

/// The SyncEnd of each connection of a worker, beside its table: only sync_refresh_period asks for
/// them, and a connection has no room. Where control has not been in time with memory, a
/// connection counts as never announced.
/// Thread: at the worker; reserve control, beside it (ReservedRegion says why that is safe).
class SyncEndTimes {
public:
    /// For tables of `maximum` entries. Throws std::bad_alloc.
    explicit SyncEndTimes(std::uint32_t maximum)
        : v4_{bytes_for(maximum), ReservedRegion::any_node},
          v6_{bytes_for(maximum), ReservedRegion::any_node} {}

    /// Null where there is no memory.
    template <class F>
    std::uint32_t* at(ConnectionIndex index) const noexcept {
        const ReservedRegion& region = F::family == net::Family::inet ? v4_ : v6_;
        const std::size_t offset = std::size_t{index} * sizeof(std::uint32_t);
        if (offset + sizeof(std::uint32_t) > region.committed()) return nullptr;
        return reinterpret_cast<std::uint32_t*>(region.base() + offset);
    }

    /// Memory for connections below these indices.
    void reserve(ConnectionIndex v4, ConnectionIndex v6) noexcept {
        commit(v4_, v4);
        commit(v6_, v6);
    }

private:
    static std::size_t bytes_for(std::uint32_t maximum) noexcept {
        return (std::size_t{maximum} + 1) * sizeof(std::uint32_t);
    }

    static void commit(ReservedRegion& region, ConnectionIndex end) noexcept {
        region.commit(
            std::min(bytes_for(end), region.capacity()), ReservedRegion::Contention::wait,
            ReservedRegion::Touch::now
        );
    }

    ReservedRegion v4_;
    ReservedRegion v6_;
};

}  // namespace nlvs::forwarding
