#pragma once

#include "compat/net/mac_address.hpp"

#include <cstdint>
#include <string>
#include <utility>

#include <net/if.h>

namespace nlvs::forwarding {

/// Questions and orders about one kernel netdev through the socket ioctls.
/// Every member throws std::runtime_error, "no netdev named X" among them.
/// Thread: control.
class NetdevRequest {
public:
    enum class Offload : std::uint8_t {
        generic_receive,  ///< GRO
        large_receive,    ///< LRO
        transmit_checksum,
    };

    explicit NetdevRequest(const std::string& name);
    NetdevRequest(const NetdevRequest&) = delete;
    NetdevRequest& operator=(const NetdevRequest&) = delete;
    ~NetdevRequest();

    static bool exists(const std::string& name) { return if_nametoindex(name.c_str()) != 0; }

    int index();
    unsigned flags();
    net::MacAddress mac();
    std::uint16_t mtu();
    /// Of the kernel module, "veth", "tun", "ixgbe"; empty when it does not tell.
    std::string driver();

    /// Speed in Mbit/s and whether the link is full duplex; 0 and true when it does not tell.
    std::pair<std::uint32_t, bool> link();

    void set_up(bool up);
    /// Speed 0 is "unknown". False if the netdev does not take it.
    bool set_link(std::uint32_t speed, bool full_duplex);
    void set_mac(const net::MacAddress& mac);
    void set_mtu(std::uint16_t mtu);
    /// Returns whether the offload was on. A netdev without it is left alone.
    bool switch_offload(Offload offload, bool on);

private:
    void call(unsigned long request, const char* what);
    bool ask_ethtool(void* command) noexcept;

    std::string name_;
    int socket_;
    ifreq request_{};
};

}  // namespace nlvs::forwarding
