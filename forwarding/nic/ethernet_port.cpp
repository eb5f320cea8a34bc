#include "forwarding/nic/ethernet_port.hpp"

#include "forwarding/nic/netdev_request.hpp"

#include "forwarding/nic/eal.hpp"
#include "forwarding/nic/tap_signals.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nlvs::forwarding {
namespace {

constexpr unsigned overhead = RTE_ETHER_HDR_LEN + 2 * RTE_VLAN_HLEN;

[[noreturn]] void fail(const std::string& what, int error) {
    throw std::runtime_error(what + ": " + rte_strerror(error < 0 ? -error : error));
}

/// Arguments for the af_packet driver on a netdev. Slots are a power of two that holds the
/// largest frame, blocks hold whole slots.
std::string af_packet_device(const NetdevClaim& claim, const EthernetPortSettings& settings) {
    static std::atomic<unsigned> made{0};
    constexpr unsigned slot_header = 96;  // TPACKET2_HDRLEN and alignment of the frame
    const unsigned mtu = std::max(settings.mtu, claim.mtu());
    const unsigned slot = std::bit_ceil(std::max(mtu + overhead + slot_header, 2048U));
    // A worker that shares its core may be away for some milliseconds: several times the slots of a
    // NIC that has a core to itself, within a few megabytes.
    constexpr unsigned most_slots = 2048;
    constexpr unsigned ring_bytes = 4U << 20;
    const unsigned slots =
        std::max<unsigned>({settings.descriptors, std::min(ring_bytes / slot, most_slots), 64});
    return "net_af_packet" + std::to_string(made++) + ",iface=" + claim.name() +
           ",qpairs=" + std::to_string(settings.queues) + ",framesz=" + std::to_string(slot) +
           ",blocksz=" + std::to_string(std::max(slot, 4096U)) +
           ",framecnt=" + std::to_string(slots) +
           ",qdisc_bypass=1";
}

rte_ether_addr to_dpdk(const net::MacAddress& mac) {
    rte_ether_addr result;
    std::copy(mac.bytes.begin(), mac.bytes.end(), result.addr_bytes);
    return result;
}

constexpr std::uint64_t hashed_types =
    RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP;

std::uint64_t side_of(ReceiveHash hash) {
    switch (hash) {
        case ReceiveHash::flow: return 0;
        case ReceiveHash::source: return RTE_ETH_RSS_L3_SRC_ONLY | RTE_ETH_RSS_L4_SRC_ONLY;
        case ReceiveHash::destination: return RTE_ETH_RSS_L3_DST_ONLY | RTE_ETH_RSS_L4_DST_ONLY;
    }
    return 0;
}

}  // namespace

EthernetPort::EthernetPort(const EthernetPortSettings& settings, BufferPool& pool)
    : device_{settings.device},
      queues_{settings.queues},
      hash_{settings.hash},
      promiscuous_{settings.promiscuous},
      all_multicast_{settings.all_multicast},
      leave_running_{settings.leave_running} {
    const auto signals =
        settings.device.starts_with("net_tap") ? std::make_unique<TapSignals>() : nullptr;
    attach(settings);
    try {
        configure(settings, pool);
        if (claim_) open_doorbells();
    } catch (...) {
        for (const int socket : doorbells_) close(socket);
        rte_eth_dev_close(id_);
        throw;
    }
}

EthernetPort::~EthernetPort() {
    for (const int socket : doorbells_) close(socket);
    if (leave_running_) return;
    if (started_) rte_eth_dev_stop(id_);
    rte_eth_dev_close(id_);
}

void EthernetPort::attach(const EthernetPortSettings& settings) {
    std::string arguments = settings.device;
    if (driver_for_device(settings.device) == "net_af_packet" &&
        !settings.device.starts_with("net_")) {
        claim_ = std::make_unique<NetdevClaim>(settings.device);
        partial_checksums_ = claim_->partial_checksums();
        arguments = af_packet_device(*claim_, settings);
    }
    attached_name_ = arguments.substr(0, arguments.find(','));
    if (const int error = rte_dev_probe(arguments.c_str()); error < 0) {
        fail("cannot open port " + settings.device, error);
    }
    if (rte_eth_dev_get_port_by_name(attached_name_.c_str(), &id_) != 0) {
        throw std::runtime_error("device " + settings.device + " is not a network port");
    }
    if (attached_name_.starts_with("net_tap")) partial_checksums_ = true;
}

void EthernetPort::configure(const EthernetPortSettings& settings, BufferPool& pool) {
    rte_eth_dev_info information{};
    if (const int error = rte_eth_dev_info_get(id_, &information); error != 0) {
        fail("cannot inquire port " + device_, error);
    }
    if (queues_ > information.max_rx_queues || queues_ > information.max_tx_queues) {
        throw std::runtime_error(
            "port " + device_ + " has " +
            std::to_string(std::min(information.max_rx_queues, information.max_tx_queues)) +
            " queues, " + std::to_string(queues_) + " workers need one each"
        );
    }
    rte_eth_conf configuration{};
    configure_hash(information, configuration);
    if (settings.mtu != 0) configuration.rxmode.mtu = settings.mtu;
    // Most drivers without interrupts say so here, the others when the port starts.
    configuration.intr_conf.rxq = claim_ ? 0 : 1;
    int error = rte_eth_dev_configure(id_, queues_, queues_, &configuration);
    if (error != 0 && configuration.intr_conf.rxq != 0) {
        configuration.intr_conf.rxq = 0;
        error = rte_eth_dev_configure(id_, queues_, queues_, &configuration);
    }
    if (error != 0) fail("cannot configure port " + device_, error);
    interrupts_ = configuration.intr_conf.rxq != 0;

    std::uint16_t rx = settings.descriptors;
    std::uint16_t tx = settings.descriptors;
    rte_eth_dev_adjust_nb_rx_tx_desc(id_, &rx, &tx);
    const auto socket = static_cast<unsigned>(rte_eth_dev_socket_id(id_));
    for (std::uint16_t queue = 0; queue < queues_; ++queue) {
        error = rte_eth_rx_queue_setup(id_, queue, rx, socket, nullptr, pool.get());
        if (error == 0) error = rte_eth_tx_queue_setup(id_, queue, tx, socket, nullptr);
        if (error != 0)
            fail("cannot set up queue " + std::to_string(queue) + " of port " + device_, error);
    }
    if (claim_ && settings.mtu != 0) set_mtu(settings.mtu);
}

void EthernetPort::configure_hash(
    const rte_eth_dev_info& information, rte_eth_conf& configuration
) {
    if (queues_ == 1) return;
    const std::uint64_t types = information.flow_type_rss_offloads & hashed_types;
    // What tap calls hashing is the kernel's choice, which follows the sender's CPU.
    const bool hashes = types != 0 && !attached_name_.starts_with("net_tap");
    if (hash_ != ReceiveHash::flow && !hashes) {
        throw std::runtime_error("port " + device_ + " does not choose queues by a hash (rss)");
    }
    if (types == 0) return;
    // DPDK reads the key only; its type says otherwise.
    static Toeplitz::Key key = Toeplitz::default_key;
    auto& hashing = configuration.rx_adv_conf.rss_conf;
    configuration.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    hashing.rss_hf = types;
    if (!hashes) return;
    redirection_entries_ = std::has_single_bit(information.reta_size) ? information.reta_size : 0;
    const std::uint64_t side = side_of(hash_);
    if (hash_ == ReceiveHash::flow) return;
    hash_by_rules_ = (information.flow_type_rss_offloads & side) != side;
    if (!hash_by_rules_) hashing.rss_hf |= side;
    if (information.hash_key_size != 0 && information.hash_key_size <= key.size()) {
        hashing.rss_key = key.data();
        hashing.rss_key_len = information.hash_key_size;
    }
}

/// Hashing by one side as rules, for drivers (Intel's) that take it in no other way.
void EthernetPort::ask_flow_rules() {
    struct Rule {
        rte_flow_item_type network, transport;
        std::uint64_t type;
    };
    constexpr std::array rules{
        Rule{RTE_FLOW_ITEM_TYPE_IPV4, RTE_FLOW_ITEM_TYPE_TCP, RTE_ETH_RSS_NONFRAG_IPV4_TCP},
        Rule{RTE_FLOW_ITEM_TYPE_IPV4, RTE_FLOW_ITEM_TYPE_UDP, RTE_ETH_RSS_NONFRAG_IPV4_UDP},
        Rule{RTE_FLOW_ITEM_TYPE_IPV6, RTE_FLOW_ITEM_TYPE_TCP, RTE_ETH_RSS_NONFRAG_IPV6_TCP},
        Rule{RTE_FLOW_ITEM_TYPE_IPV6, RTE_FLOW_ITEM_TYPE_UDP, RTE_ETH_RSS_NONFRAG_IPV6_UDP},
    };
    for (const Rule& rule : rules) {
        rte_flow_attr attributes{};
        attributes.ingress = 1;
        std::array<rte_flow_item, 4> pattern{};
        pattern[0].type = RTE_FLOW_ITEM_TYPE_ETH;
        pattern[1].type = rule.network;
        pattern[2].type = rule.transport;
        pattern[3].type = RTE_FLOW_ITEM_TYPE_END;
        rte_flow_action_rss rss{};
        rss.func = RTE_ETH_HASH_FUNCTION_TOEPLITZ;
        rss.types = rule.type | side_of(hash_);
        // Intel's drivers: the port's own queues and key, where the rule names none.
        std::array<rte_flow_action, 2> actions{};
        actions[0].type = RTE_FLOW_ACTION_TYPE_RSS;
        actions[0].conf = &rss;
        actions[1].type = RTE_FLOW_ACTION_TYPE_END;
        rte_flow_error error{};
        if (rte_flow_create(id_, &attributes, pattern.data(), actions.data(), &error) == nullptr) {
            throw std::runtime_error(
                "port " + device_ + " cannot hash by one side of a packet (rss): " +
                (error.message != nullptr ? error.message : rte_strerror(rte_errno))
            );
        }
    }
}

void EthernetPort::redirect(const RedirectionTable& table) {
    rte_eth_dev_info information{};
    if (const int error = rte_eth_dev_info_get(id_, &information); error != 0) {
        fail("cannot inquire port " + device_, error);
    }
    std::vector<rte_eth_rss_reta_entry64> groups(
        (information.reta_size + RTE_ETH_RETA_GROUP_SIZE - 1) / RTE_ETH_RETA_GROUP_SIZE
    );
    for (std::uint16_t entry = 0; entry < information.reta_size; ++entry) {
        auto& group = groups[entry / RTE_ETH_RETA_GROUP_SIZE];
        group.mask |= std::uint64_t{1} << (entry % RTE_ETH_RETA_GROUP_SIZE);
        group.reta[entry % RTE_ETH_RETA_GROUP_SIZE] = table.queue(entry);
    }
    if (groups.empty()) return;
    if (const int error = rte_eth_dev_rss_reta_update(id_, groups.data(), information.reta_size);
        error != 0) {
        fail("cannot spread the queues of port " + device_, error);
    }
}

/// A socket that becomes readable with every packet of the netdev, or with those of the filter.
int EthernetPort::open_bell(const sock_fprog* filter) {
    const int bell = ::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bell < 0) fail("cannot open a packet socket on " + device_, errno);
    doorbells_.push_back(bell);
    const int on = 1;
    const int smallest = 1;  // the kernel rounds up; a full bell costs nothing per packet
    setsockopt(bell, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on));
    setsockopt(bell, SOL_SOCKET, SO_RCVBUF, &smallest, sizeof(smallest));
    if (filter != nullptr &&
        setsockopt(bell, SOL_SOCKET, SO_ATTACH_FILTER, filter, sizeof(*filter)) != 0) {
        fail("cannot watch " + device_ + " for fragments", errno);
    }
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = rte_cpu_to_be_16(ETH_P_ALL);
    address.sll_ifindex = claim_->index();
    const auto* generic = static_cast<const sockaddr*>(static_cast<const void*>(&address));
    if (bind(bell, generic, sizeof(address)) != 0) fail("cannot watch " + device_, errno);
    // The af_packet driver has no such filter of its own; closing the socket undoes it.
    const packet_mreq multicast{
        .mr_ifindex = claim_->index(),
        .mr_type = PACKET_MR_ALLMULTI,
        .mr_alen = 0,
        .mr_address = {}};
    setsockopt(bell, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &multicast, sizeof(multicast));
    return bell;
}

/// Queue n of af_packet is member n of a packet fan-out group, so the doorbells form a group of
/// the same kind and order: the kernel rings the bell of the worker that gets the packet.
void EthernetPort::open_doorbells() {
    int group = 0;
    for (std::uint16_t queue = 0; queue < queues_; ++queue) {
        const int bell = open_bell(nullptr);
        if (queues_ == 1) return;
        const int unique = group == 0 ? PACKET_FANOUT_FLAG_UNIQUEID : 0;
        // Not PACKET_FANOUT_FLAG_DEFRAG, which the driver's group has: one that asks for the same takes
        // fragments away from the other.
        const int fanout = group | ((PACKET_FANOUT_HASH | unique) << 16);
        if (setsockopt(bell, SOL_PACKET, PACKET_FANOUT, &fanout, sizeof(fanout)) != 0) {
            fail("cannot share the watch on " + device_, errno);
        }
        int made = 0;
        socklen_t size = sizeof(made);
        getsockopt(bell, SOL_PACKET, PACKET_FANOUT, &made, &size);
        group = made & 0xFFFF;
    }
    // The driver sees datagrams put together and chooses the queue by their ports, which their fragments
    // do not have: those ring for every queue.
    constexpr std::uint32_t fragment_word = ETH_HLEN + 6;
    constexpr std::uint32_t fragment_bits = 0x3FFF;  // more fragments, or an offset
    std::array<sock_filter, 6> program{{
        {BPF_LD | BPF_H | BPF_ABS, 0, 0, ETH_HLEN - 2},
        {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, ETH_P_IP},
        {BPF_LD | BPF_H | BPF_ABS, 0, 0, fragment_word},
        {BPF_JMP | BPF_JSET | BPF_K, 0, 1, fragment_bits},
        {BPF_RET | BPF_K, 0, 0, 1},
        {BPF_RET | BPF_K, 0, 0, 0},
    }};
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    for (std::uint16_t queue = 0; queue < queues_; ++queue) open_bell(&filter);
}

void EthernetPort::start() {
    if (const int error = rte_eth_dev_start(id_); error != 0)
        fail("cannot start port " + device_, error);
    started_ = true;
    if (hash_by_rules_) ask_flow_rules();
    if (all_multicast_) ask_all_multicast();
    if (promiscuous_) set_promiscuous(true);
}

net::MacAddress EthernetPort::mac() const {
    rte_ether_addr address{};
    rte_eth_macaddr_get(id_, &address);
    net::MacAddress result;
    std::copy_n(address.addr_bytes, result.bytes.size(), result.bytes.begin());
    return result;
}

void EthernetPort::set_mac(const net::MacAddress& mac) {
    rte_ether_addr address = to_dpdk(mac);
    if (const int error = rte_eth_dev_default_mac_addr_set(id_, &address); error != 0) {
        fail("cannot set the MAC address of port " + device_, error);
    }
}

std::uint16_t EthernetPort::mtu() const {
    std::uint16_t mtu = 0;
    rte_eth_dev_get_mtu(id_, &mtu);
    return mtu;
}

void EthernetPort::set_mtu(std::uint16_t mtu) {
    if (const int error = rte_eth_dev_set_mtu(id_, mtu); error != 0) {
        fail("cannot set the MTU of port " + device_ + " to " + std::to_string(mtu), error);
    }
}

LinkStatus EthernetPort::link() const {
    rte_eth_link link{};
    rte_eth_link_get_nowait(id_, &link);
    // af_packet reports a link for ever; the netdev below knows better.
    if (claim_) {
        NetdevRequest netdev{device_};
        const auto [speed, full_duplex] = netdev.link();
        return {(netdev.flags() & IFF_RUNNING) != 0, speed, full_duplex};
    }
    return {
        link.link_status == RTE_ETH_LINK_UP,
        link.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : link.link_speed,
        link.link_duplex == RTE_ETH_LINK_FULL_DUPLEX};
}

void EthernetPort::set_promiscuous(bool on) {
    const int error = on ? rte_eth_promiscuous_enable(id_) : rte_eth_promiscuous_disable(id_);
    // A device without any filter receives everything.
    if (error != 0 && error != -ENOTSUP)
        fail("cannot change promiscuous mode of port " + device_, error);
}

/// Of a netdev, the sockets of open_bell() have asked already.
void EthernetPort::ask_all_multicast() {
    receives_all_multicast_ = rte_eth_allmulticast_enable(id_) == 0 || claim_ != nullptr;
}

bool EthernetPort::set_multicast_groups(const std::set<net::MacAddress>& groups) {
    std::vector<rte_ether_addr> addresses;
    for (const net::MacAddress& group : groups) addresses.push_back(to_dpdk(group));
    const auto count = static_cast<std::uint32_t>(addresses.size());
    return rte_eth_dev_set_mc_addr_list(id_, addresses.data(), count) == 0;
}

bool EthernetPort::add_mac(const net::MacAddress& mac) {
    rte_ether_addr address = to_dpdk(mac);
    return rte_eth_dev_mac_addr_add(id_, &address, 0) == 0;
}

void EthernetPort::remove_mac(const net::MacAddress& mac) {
    rte_ether_addr address = to_dpdk(mac);
    rte_eth_dev_mac_addr_remove(id_, &address);
}

PortStatistics EthernetPort::statistics() const {
    rte_eth_stats stats{};
    rte_eth_stats_get(id_, &stats);
    return {
        stats.ipackets,
        stats.ibytes,
        stats.opackets,
        stats.obytes,
        stats.imissed,
        stats.rx_nombuf,
        stats.ierrors,
        stats.oerrors};
}

int EthernetPort::socket() const {
    return rte_eth_dev_socket_id(id_);
}

}  // namespace nlvs::forwarding
