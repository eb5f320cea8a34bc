#pragma once

#include "kni/router_state.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace nlvs::kni {

/// Follows RouterState: listens to the announcements of sysctls (RTNLGRP_IPV4_NETCONF and its IPv6
/// neighbour), of nf_tables and of IPsec policies, and reads everything anew when one comes. What
/// has no announcements, tables of the old iptables, is looked at every second. Announcements that
/// follow each other closely are read together.
///
/// What cannot be read counts as an obstacle: a firewall must not be bypassed by mistake.
/// Thread: control.
class RouterWatch {
public:
    using Changed = std::function<void(const RouterState&)>;

    RouterWatch(boost::asio::io_context& context, Changed changed);
    RouterWatch(const RouterWatch&) = delete;
    RouterWatch& operator=(const RouterWatch&) = delete;

    /// The state is known when this returns.
    void start();

    const RouterState& state() const noexcept { return state_; }

    std::uint64_t reads() const noexcept { return reads_; }

private:
    void listen(int protocol, const std::vector<int>& groups);
    void wait(std::size_t listener);
    void schedule();
    void announced();
    void refresh();

    std::vector<boost::asio::posix::stream_descriptor> listeners_;
    boost::asio::io_context& context_;
    boost::asio::steady_timer timer_;
    boost::asio::steady_timer soon_;
    bool waits_ = false;  ///< for soon_
    boost::asio::steady_timer::time_point last_read_;
    Changed changed_;
    RouterState state_;
    std::optional<std::string> old_tables_;
    std::uint64_t reads_ = 0;
};

}  // namespace nlvs::kni
