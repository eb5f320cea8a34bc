#pragma once

#include "forwarding/nic/ethernet_port.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include <rte_interrupts.h>

namespace nlvs::forwarding {

/// How an idle worker sleeps until there is something to do.
///
/// Usage, by the worker:
///     doorbell.arm();                        // from here on an arriving packet rings
///     if (every queue and ring is empty)     // closes the race with what came before arm()
///         doorbell.wait(limit);
///     doorbell.disarm();
///
/// A queue rings by RX interrupt where the driver has them, by a packet socket on the netdev
/// under af_packet; a port with neither is looked at every `nap`.
///
/// Thread: construction and add control; arm/wait/disarm its worker; ring any.
class Doorbell {
public:
    static constexpr std::chrono::microseconds nap{100};

    /// Throws std::runtime_error.
    Doorbell();
    Doorbell(const Doorbell&) = delete;
    Doorbell& operator=(const Doorbell&) = delete;
    /// Before the ports that were added.
    ~Doorbell();

    /// Watches one RX queue of a started port.
    void add(const EthernetPort& port, std::uint16_t queue);
    /// Watches a descriptor for input; whoever owns it empties it.
    void add_descriptor(int descriptor);

    void arm() noexcept;
    /// Sleeps until something rings, at most `limit`. True when something did.
    bool wait(std::chrono::microseconds limit) noexcept;
    void disarm() noexcept;

    /// Wakes the worker, now or as soon as it goes to sleep.
    void ring() noexcept;

private:
    struct Queue {
        std::uint16_t port;
        std::uint16_t queue;
    };

    void watch(int descriptor);
    void empty_bells() noexcept;

    int epoll_ = -1;
    int event_ = -1;
    std::vector<Queue> interrupts_;
    std::vector<int> bells_;  ///< packet sockets to empty
    std::vector<std::unique_ptr<rte_epoll_event>> events_;
    bool napping_ = false;  ///< some port cannot ring
};

}  // namespace nlvs::forwarding
