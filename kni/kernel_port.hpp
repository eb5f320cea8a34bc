#pragma once

#include "compat/net/mac_address.hpp"
#include "forwarding/nic/buffer_pool.hpp"
#include "forwarding/nic/ethernet_port.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace nlvs::kni {

/// What carries packets between a shadow interface and workers.
enum class KernelPortBackend : std::uint8_t {
    virtio_user,  ///< vhost-net: a kernel thread copies, in bursts
    tap,          ///< one system call for each packet
};

struct KernelPortSettings {
    std::string name;          ///< of the netdev
    net::MacAddress mac;       ///< the NIC's
    std::uint16_t mtu = 1500;  ///< the NIC's
    std::uint16_t queues = 1;  ///< one for each worker
    bool keep = true;          ///< the netdev and its addresses outlive the daemon's orderly end
    KernelPortBackend backend = KernelPortBackend::tap;  ///< of a new netdev
};

/// The kernel-side twin of a NIC: an ordinary netdev for Linux, one more DPDK port for workers.
/// What workers receive from it is what the kernel sends, with complete checksums; what they send
/// to it is what the kernel receives.
///
/// The netdev is persistent while a daemon runs, so addresses and IPv4 routes outlive its death
/// (without a daemon the netdev has no carrier); at an orderly end it goes unless `keep` is set. An
/// existing netdev of that name that an earlier daemon left is taken over, by the back end that
/// made it.
///
/// Throws std::runtime_error. Thread: control; the queues their worker.
class KernelPort {
public:
    using Backend = KernelPortBackend;

    /// The fewest queues that virtio_user serves: with one, DPDK's driver opens a second all the same,
    /// to which the kernel then gives packets that nobody takes.
    static constexpr std::uint16_t fewest_virtio_queues = 2;

    /// virtio_user where /dev/vhost-net exists and there are queues enough, else tap.
    static Backend preferred_backend(std::uint16_t queues) noexcept;
    /// The DPDK driver of a back end, for EalSettings::drivers.
    static std::string driver(Backend backend);

    KernelPort(const KernelPortSettings& settings, forwarding::BufferPool& pool);
    KernelPort(const KernelPort&) = delete;
    KernelPort& operator=(const KernelPort&) = delete;
    ~KernelPort();

    /// Starts the DPDK side; the netdev's admin state stays as it was, a new one comes up.
    void start();

    /// Tells the kernel whether the NIC has a link.
    void set_carrier(bool up);
    /// The same, and how fast the link is: 802.3ad asks, and people by ethtool.
    void show(const forwarding::LinkStatus& link);

    const std::string& name() const noexcept { return name_; }

    std::uint32_t index() const noexcept { return index_; }

    Backend backend() const noexcept { return backend_; }

    forwarding::EthernetPort& port() noexcept { return *port_; }

    const forwarding::EthernetPort& port() const noexcept { return *port_; }

private:
    void take_over();
    void open_netdev();
    void leave_netdev() noexcept;

    std::string name_;
    Backend backend_;
    std::uint32_t index_ = 0;
    int tap_ = -1;  ///< a queue of ours that is detached: it only carries orders
    bool keep_;
    bool is_new_ = true;
    bool was_down_ = false;
    bool has_carrier_ = true;
    forwarding::LinkStatus shown_;
    std::unique_ptr<forwarding::EthernetPort> port_;
};

}  // namespace nlvs::kni
