#pragma once

#include "compat/net/mac_address.hpp"

#include <set>

namespace nlvs::daemon {

/// The receive filter of a NIC.
class NicFilter {
public:
    NicFilter() = default;
    NicFilter(const NicFilter&) = delete;
    NicFilter& operator=(const NicFilter&) = delete;
    virtual ~NicFilter() = default;

    /// False when the device has no room or no such filter.
    virtual bool add_mac(const net::MacAddress& mac) = 0;
    virtual void remove_mac(const net::MacAddress& mac) = 0;
    /// The multicast addresses to receive, instead of those before. False likewise.
    virtual bool set_groups(const std::set<net::MacAddress>& groups) = 0;
    /// May throw std::runtime_error.
    virtual void set_promiscuous(bool on) = 0;
};

/// Makes one NIC receive what its interfaces want: further MAC addresses where its filter has room,
/// else everything. Workers sort out what is for nobody here (forwarding::IngressTable).
/// Thread: control.
class NicAddresses {
public:
    explicit NicAddresses(NicFilter& filter) : filter_{filter} {}

    /// All addresses wanted from now on; `own` is the NIC's own, which needs no filter.
    void want(const std::set<net::MacAddress>& addresses, const net::MacAddress& own);
    /// All multicast groups wanted from now on; for a NIC that does not receive every group anyway.
    void want_groups(const std::set<net::MacAddress>& groups);
    /// The administrator wants everything, or no longer does.
    void want_everything(bool on);

    bool promiscuous() const noexcept { return promiscuous_; }

private:
    void settle();

    NicFilter& filter_;
    std::set<net::MacAddress> added_;
    std::set<net::MacAddress> groups_;
    bool overflow_ = false;
    bool groups_overflow_ = false;
    bool wants_everything_ = false;
    bool promiscuous_ = false;
};

}  // namespace nlvs::daemon
