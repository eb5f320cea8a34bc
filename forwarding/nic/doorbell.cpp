#include "forwarding/nic/doorbell.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <stdexcept>
#include <string>

#include <rte_epoll.h>
#include <rte_ethdev.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nlvs::forwarding {

Doorbell::Doorbell()
    : epoll_{epoll_create1(EPOLL_CLOEXEC)}, event_{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)} {
    if (epoll_ < 0 || event_ < 0) {
        throw std::runtime_error(
            std::string{"cannot make a worker's doorbell: "} + std::strerror(errno)
        );
    }
    watch(event_);
}

Doorbell::~Doorbell() {
    for (const Queue& queue : interrupts_) {
        rte_eth_dev_rx_intr_ctl_q(queue.port, queue.queue, epoll_, RTE_INTR_EVENT_DEL, nullptr);
    }
    close(event_);
    close(epoll_);
}

void Doorbell::add(const EthernetPort& port, std::uint16_t queue) {
    if (const auto bells = port.doorbell_sockets(queue); !bells.empty()) {
        for (const int bell : bells) {
            watch(bell);
            bells_.push_back(bell);
        }
    } else if (port.interrupts() && rte_eth_dev_rx_intr_ctl_q(port.id(), queue, epoll_, RTE_INTR_EVENT_ADD, nullptr) == 0) {
        interrupts_.push_back({port.id(), queue});
    } else {
        napping_ = true;
    }
}

void Doorbell::add_descriptor(int descriptor) {
    watch(descriptor);
}

void Doorbell::watch(int descriptor) {
    auto event = std::make_unique<rte_epoll_event>();
    event->epdata.event = EPOLLIN;
    if (rte_epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, event.get()) != 0) {
        throw std::runtime_error(std::string{"cannot watch a descriptor: "} + std::strerror(errno));
    }
    events_.push_back(std::move(event));
}

void Doorbell::empty_bells() noexcept {
    std::array<char, 1> nothing;
    for (const int bell : bells_) {
        while (recv(bell, nothing.data(), nothing.size(), MSG_DONTWAIT | MSG_TRUNC) >= 0) {
        }
    }
}

void Doorbell::arm() noexcept {
    empty_bells();
    for (const Queue& queue : interrupts_) rte_eth_dev_rx_intr_enable(queue.port, queue.queue);
}

bool Doorbell::wait(std::chrono::microseconds limit) noexcept {
    using std::chrono::ceil;
    using std::chrono::milliseconds;
    if (napping_) {
        const auto nap_time = std::min(limit, nap);
        const timespec pause{0, static_cast<long>(nap_time.count()) * 1000};
        nanosleep(&pause, nullptr);
        limit = std::chrono::microseconds{0};
    }
    std::array<rte_epoll_event, 32> events;
    const int rang = rte_epoll_wait(
        epoll_,
        events.data(),
        static_cast<int>(events.size()),
        static_cast<int>(ceil<milliseconds>(limit).count())
    );
    std::uint64_t rings = 0;
    return read(event_, &rings, sizeof(rings)) > 0 || rang > 0;
}

void Doorbell::disarm() noexcept {
    for (const Queue& queue : interrupts_) rte_eth_dev_rx_intr_disable(queue.port, queue.queue);
}

void Doorbell::ring() noexcept {
    const std::uint64_t one = 1;
    // A full counter means that the worker is about to wake anyway.
    [[maybe_unused]] const auto written = write(event_, &one, sizeof(one));
}

}  // namespace nlvs::forwarding
