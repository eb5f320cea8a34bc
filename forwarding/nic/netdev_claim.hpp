#pragma once

#include "compat/net/mac_address.hpp"

#include <cstdint>
#include <string>

namespace nlvs::forwarding {

/// Takes a kernel netdev out of the kernel's own use, so that only the engine processes what it
/// receives: a netfilter ingress chain drops everything (packet sockets see it before that),
/// IPv6 is off so that the kernel sends nothing of its own, and merging of received packets
/// (GRO, LRO), which would make frames that nobody can forward, is off. The netdev is set up.
///
/// The destructor undoes it. The chain belongs to a netlink socket that is held open, so the
/// kernel removes it even after a crash.
///
/// Throws std::runtime_error. Thread: control.
class NetdevClaim {
public:
    explicit NetdevClaim(const std::string& name);
    NetdevClaim(const NetdevClaim&) = delete;
    NetdevClaim& operator=(const NetdevClaim&) = delete;
    ~NetdevClaim();

    const std::string& name() const noexcept { return name_; }

    int index() const noexcept { return index_; }

    net::MacAddress mac() const;
    std::uint16_t mtu() const;

    /// True for veth and other virtual devices, whose packets may come with an unfinished
    /// transport checksum: the sender expects the receiver to trust the memory they crossed.
    bool partial_checksums() const noexcept { return partial_checksums_; }

private:
    void block_ingress();
    void set_ipv6_disabled(char value);

    std::string name_;
    int index_ = 0;
    int netfilter_socket_ = -1;
    char ipv6_was_disabled_ = 0;  ///< '0', '1', or 0 when there is no IPv6
    bool was_up_ = false;
    bool gro_was_on_ = false;
    bool partial_checksums_ = false;
};

}  // namespace nlvs::forwarding
