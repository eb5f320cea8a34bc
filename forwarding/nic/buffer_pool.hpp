#pragma once

#include <cstdint>
#include <memory>

#include <rte_mempool.h>

namespace nlvs::forwarding {

/// Packet buffers of one NUMA socket.
/// Thread: construction control; the pool itself any lcore.
class BufferPool {
public:
    struct Settings {
        unsigned count = 16 * 1024 - 1;      ///< buffers
        unsigned cache = 256;                ///< kept back by each lcore
        std::uint16_t private_size = 0;      ///< bytes after struct rte_mbuf
        std::uint16_t largest_frame = 1522;  ///< that fits in one buffer
        int socket = -1;                     ///< -1: any
    };

    /// Throws std::runtime_error.
    explicit BufferPool(const Settings& settings);

    rte_mempool* get() const noexcept { return pool_.get(); }

    /// Bytes of packet that a fresh buffer takes after its headroom.
    std::uint16_t room() const noexcept;

    unsigned in_use() const noexcept { return rte_mempool_in_use_count(pool_.get()); }

private:
    struct Free {
        void operator()(rte_mempool* pool) const noexcept { rte_mempool_free(pool); }
    };

    std::unique_ptr<rte_mempool, Free> pool_;
};

}  // namespace nlvs::forwarding
