#pragma once

#include "compat/net/mac_address.hpp"
#include "forwarding/nic/buffer_pool.hpp"
#include "forwarding/nic/netdev_claim.hpp"
#include "forwarding/toeplitz.hpp"

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

struct rte_eth_conf;
struct rte_eth_dev_info;
struct sock_fprog;

namespace nlvs::forwarding {

/// By what of a packet the NIC chooses the queue, hence the worker.
enum class ReceiveHash : std::uint8_t {
    flow,         ///< both ends, as NICs do
    source,       ///< the source alone: of a client's packets, the one that owns the flow
    destination,  ///< likewise of a real server's
};

struct EthernetPortSettings {
    /// A PCI address ("0000:03:00.0"), a DPDK virtual device with its arguments
    /// ("net_tap0,iface=x"), or the name of an existing netdev ("eth0").
    std::string device;
    std::uint16_t queues = 1;         ///< one RX and one TX queue for each worker
    std::uint16_t descriptors = 512;  ///< of each queue; brought into the NIC's limits
    std::uint16_t mtu = 0;            ///< 0: as it is
    bool promiscuous = false;
    bool all_multicast = true;  ///< VRRP, OSPF, ND
    ReceiveHash hash = ReceiveHash::flow;
    /// The end of the port is left to the end of the process: stopping a tap sets the kernel's
    /// netdev down, which costs it its routes and IPv6 addresses.
    bool leave_running = false;
};

struct LinkStatus {
    bool up = false;
    std::uint32_t speed = 0;  ///< Mbit/s, 0 when unknown
    bool full_duplex = true;

    friend bool operator==(const LinkStatus&, const LinkStatus&) = default;
};

/// Counters of the device itself.
struct PortStatistics {
    std::uint64_t received_packets = 0, received_bytes = 0;
    std::uint64_t transmitted_packets = 0, transmitted_bytes = 0;
    std::uint64_t missed = 0;     ///< no free descriptor
    std::uint64_t no_buffer = 0;  ///< no free mbuf
    std::uint64_t receive_errors = 0, transmit_errors = 0;
};

/// One DPDK port, configured at construction, with queue n for worker n on both sides. Hardware
/// offloads are not used: checksums are updated incrementally, and every device behaves the same.
/// A frame that does not fit in one buffer never reaches a worker whole: the device drops it, or
/// cuts it (af_packet), which the parser sees by the lengths.
///
/// Constructor and setters throw std::runtime_error.
/// Thread: control; the queues their worker.
class EthernetPort {
public:
    EthernetPort(const EthernetPortSettings& settings, BufferPool& pool);
    EthernetPort(const EthernetPort&) = delete;
    EthernetPort& operator=(const EthernetPort&) = delete;
    /// Workers must have left the queues.
    ~EthernetPort();

    void start();

    /// DPDK's number for rte_eth_rx_burst and rte_eth_tx_burst.
    std::uint16_t id() const noexcept { return id_; }

    std::uint16_t queues() const noexcept { return queues_; }

    const std::string& device() const noexcept { return device_; }

    net::MacAddress mac() const;
    void set_mac(const net::MacAddress& mac);
    std::uint16_t mtu() const;
    void set_mtu(std::uint16_t mtu);
    LinkStatus link() const;
    void set_promiscuous(bool on);
    /// False where the driver knows no such mode or is refused it (a virtual function of an untrusting
    /// host): the device is to be told the groups then.
    bool receives_all_multicast() const noexcept { return receives_all_multicast_; }

    /// The multicast addresses to receive, instead of those before. False when the device has no room
    /// or no filter; make it promiscuous then.
    bool set_multicast_groups(const std::set<net::MacAddress>& groups);
    /// A further unicast address to receive: macvlan, VRRP virtual MAC. False when the device
    /// has no room or no filter; make it promiscuous then.
    bool add_mac(const net::MacAddress& mac);
    void remove_mac(const net::MacAddress& mac);
    PortStatistics statistics() const;
    /// NUMA node of the device, -1 when it has none.
    int socket() const;

    bool partial_checksums() const noexcept { return partial_checksums_; }

    /// Of the NIC's redirection table; 0 where no hash chooses the queue.
    std::uint16_t redirection_entries() const noexcept { return redirection_entries_; }

    /// Makes entry n of the NIC's redirection table lead to the queue that `table` says.
    void redirect(const RedirectionTable& table);

    /// The queue raises an interrupt when a packet arrives (Doorbell uses it).
    bool interrupts() const noexcept { return interrupts_; }

    /// Sockets that become readable when a packet arrives for the queue: none, one, or with several
    /// queues another one for what the kernel puts together.
    std::vector<int> doorbell_sockets(std::uint16_t queue) const {
        std::vector<int> sockets;
        for (std::size_t i = queue; i < doorbells_.size(); i += queues_) sockets.push_back(doorbells_[i]);
        return sockets;
    }

private:
    void attach(const EthernetPortSettings& settings);
    void configure(const EthernetPortSettings& settings, BufferPool& pool);
    void open_doorbells();
    void configure_hash(const rte_eth_dev_info& information, rte_eth_conf& configuration);
    void ask_flow_rules();
    void ask_all_multicast();
    int open_bell(const sock_fprog* filter);

    std::string device_;
    std::string attached_name_;  ///< what to detach
    std::unique_ptr<NetdevClaim> claim_;
    std::vector<int> doorbells_;  ///< of each queue one, then again one of each
    std::uint16_t id_ = 0;
    std::uint16_t queues_;
    std::uint16_t redirection_entries_ = 0;
    ReceiveHash hash_;
    bool hash_by_rules_ = false;  ///< the driver hashes by one side only where a flow rule says so
    bool promiscuous_;
    bool all_multicast_;
    bool receives_all_multicast_ = false;
    bool leave_running_;
    bool interrupts_ = false;
    bool partial_checksums_ = false;
    bool started_ = false;
};

}  // namespace nlvs::forwarding
