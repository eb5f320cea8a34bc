#include "forwarding/nic/buffer_pool.hpp"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <string>

#include <rte_errno.h>
#include <rte_mbuf.h>

namespace nlvs::forwarding {

BufferPool::BufferPool(const Settings& settings) {
    static std::atomic<unsigned> made{0};
    const std::string name = "buffers-" + std::to_string(made++);
    // af_packet ring slots keep a little more than a frame, and demand that all of it fits.
    constexpr unsigned slack = 64;
    const unsigned room = std::max<unsigned>(
        RTE_MBUF_DEFAULT_BUF_SIZE, RTE_PKTMBUF_HEADROOM + settings.largest_frame + slack
    );
    pool_.reset(rte_pktmbuf_pool_create(
        name.c_str(),
        settings.count,
        settings.cache,
        settings.private_size,
        static_cast<std::uint16_t>(room),
        settings.socket
    ));
    if (pool_ == nullptr) {
        throw std::runtime_error(
            "cannot allocate " + std::to_string(settings.count) + " packet buffers of " +
            std::to_string(room) + " bytes: " + rte_strerror(rte_errno)
        );
    }
}

std::uint16_t BufferPool::room() const noexcept {
    return static_cast<std::uint16_t>(
        rte_pktmbuf_data_room_size(pool_.get()) - RTE_PKTMBUF_HEADROOM
    );
}

}  // namespace nlvs::forwarding
