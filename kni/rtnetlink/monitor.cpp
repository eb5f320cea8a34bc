#include "kni/rtnetlink/monitor.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <boost/system/system_error.hpp>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <poll.h>
#include <sys/socket.h>

namespace nlvs::kni {
namespace {

constexpr int receive_buffer = 64 << 20;
constexpr std::size_t largest_datagram = 256 << 10;
/// Datagrams taken in one go before other work of the thread gets its turn.
constexpr unsigned batch = 64;
constexpr std::chrono::milliseconds stale_pause{100};

[[noreturn]] void fail(const char* what) {
    throw boost::system::system_error{errno, boost::system::system_category(), what};
}

int open_socket() {
    const int descriptor =
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (descriptor < 0) fail("cannot open a route netlink socket");
    return descriptor;
}

sockaddr_nl bind_socket(int descriptor) {
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    auto* generic = static_cast<sockaddr*>(static_cast<void*>(&address));
    if (bind(descriptor, generic, sizeof(address)) != 0) fail("cannot bind a route netlink socket");
    socklen_t size = sizeof(address);
    if (getsockname(descriptor, generic, &size) != 0) fail("a netlink socket has no address");
    return address;
}

struct DumpRequest {
    std::uint16_t type = 0;
    std::size_t header_size = 0;  ///< of the family's own header, which starts with the family
    std::uint8_t family = AF_UNSPEC;
};

DumpRequest request_of(Kind kind) {
    switch (kind) {
        case Kind::link:
            return {RTM_GETLINK, sizeof(ifinfomsg)};
        case Kind::next_hop:
            return {RTM_GETNEXTHOP, sizeof(nhmsg)};
        case Kind::address:
            return {RTM_GETADDR, sizeof(ifaddrmsg)};
        case Kind::neighbour:
            return {RTM_GETNEIGH, sizeof(ndmsg)};
        case Kind::route_v4:
            return {RTM_GETROUTE, sizeof(rtmsg), AF_INET};
        case Kind::route_v6:
            return {RTM_GETROUTE, sizeof(rtmsg), AF_INET6};
        case Kind::rule:
            return {RTM_GETRULE, sizeof(fib_rule_hdr)};
        case Kind::count_:
            break;
    }
    return {};
}

}  // namespace

Monitor::Monitor(boost::asio::io_context& context, KernelMirror& mirror)
    : socket_{context, open_socket()},
      stale_timer_{context},
      mirror_{mirror},
      buffer_(largest_datagram) {
    set_receive_buffer(receive_buffer);
    port_ = bind_socket(socket_.native_handle()).nl_pid;
}

Monitor::~Monitor() {
    stop();
}

std::uint32_t Monitor::behind() const noexcept {
    std::array<std::uint32_t, SK_MEMINFO_VARS> memory{};
    socklen_t size = sizeof(memory);
    const int descriptor = const_cast<Monitor*>(this)->socket_.native_handle();
    getsockopt(descriptor, SOL_SOCKET, SO_MEMINFO, memory.data(), &size);
    return memory[SK_MEMINFO_RMEM_ALLOC];
}

void Monitor::set_receive_buffer(int bytes) {
    const int descriptor = socket_.native_handle();
    if (setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0) {
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    }
}

void Monitor::start(std::chrono::milliseconds patience) {
    constexpr std::array groups{
        RTNLGRP_LINK,
        RTNLGRP_NEIGH,
        RTNLGRP_IPV4_IFADDR,
        RTNLGRP_IPV6_IFADDR,
        RTNLGRP_IPV4_ROUTE,
        RTNLGRP_IPV6_ROUTE,
        RTNLGRP_IPV4_RULE,
        RTNLGRP_IPV6_RULE,
        RTNLGRP_NEXTHOP,
    };
    for (const int group : groups) {
        const int result = setsockopt(
            socket_.native_handle(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)
        );
        // Kernels before 5.3 have no next-hop objects.
        if (result != 0 && group != RTNLGRP_NEXTHOP)
            fail("cannot subscribe to the kernel's announcements");
    }
    resynchronise();
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!synchronised() && std::chrono::steady_clock::now() < end) {
        pollfd input{socket_.native_handle(), POLLIN, 0};
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (poll(&input, 1, static_cast<int>(left.count())) > 0) receive_once();
    }
    wait();
}

void Monitor::stop() {
    boost::system::error_code ignored;
    stale_timer_.cancel(ignored);
    socket_.close(ignored);
}

void Monitor::wait() {
    socket_.async_wait(
        boost::asio::posix::stream_descriptor::wait_read,
        [this](const boost::system::error_code& error) {
            if (error) return;
            for (unsigned i = 0; i < batch && receive_once(); ++i) {
            }
            wait();
        }
    );
}

bool Monitor::receive_once() {
    const ssize_t size = recv(socket_.native_handle(), buffer_.data(), buffer_.size(), MSG_TRUNC);
    if (size < 0) {
        if (errno != ENOBUFS) return false;
        ++counters_.overflows;
        overflow_ = true;
        if (!dumping_) resynchronise();
        return true;
    }
    if (static_cast<std::size_t>(size) > buffer_.size()) {
        // The rest of an oversized datagram is lost like an overflow.
        buffer_.resize(static_cast<std::size_t>(size) * 2);
        overflow_ = true;
        if (!dumping_) resynchronise();
        return true;
    }
    netlink::Bytes rest{buffer_.data(), static_cast<std::size_t>(size)};
    while (const auto message = netlink::take_message(rest)) take(*message);
    check_stale();
    return true;
}

void Monitor::take(const netlink::MessageView& message) {
    const nlmsghdr& header = message.header();
    const bool is_answer =
        dumping_ && header.nlmsg_pid == port_ && header.nlmsg_seq == dumping_->sequence;
    if (is_answer && (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) dumping_->interrupted = true;
    if (message.type() == NLMSG_DONE || message.type() == NLMSG_ERROR) {
        // An error means that the kernel has no such kind.
        if (is_answer) end_dump();
        return;
    }
    if (message.type() < NLMSG_MIN_TYPE) return;
    ++counters_.messages;
    if (const auto event = event_from_message(message)) {
        mirror_.apply(*event);
    } else {
        ++counters_.ignored[static_cast<std::size_t>(event.error())];
    }
}

void Monitor::resynchronise() {
    ++counters_.resyncs;
    overflow_ = false;
    full_ = true;
    for (const Kind kind :
         {Kind::link,
          Kind::address,
          Kind::neighbour,
          Kind::next_hop,
          Kind::rule,
          Kind::route_v4,
          Kind::route_v6}) {
        queue(kind);
    }
    start_next_dump();
}

void Monitor::queue(Kind kind) {
    if (std::ranges::count(queued_, kind) == 0) queued_.push_back(kind);
}

void Monitor::start_next_dump() {
    if (dumping_ || queued_.empty()) return;
    const Kind kind = queued_.front();
    queued_.erase(queued_.begin());
    mirror_.begin_dump(kind);
    dumping_ = Dump{kind};
    request_dump();
}

void Monitor::request_dump() {
    const DumpRequest request = request_of(dumping_->kind);
    dumping_->sequence = ++sequence_;
    dumping_->interrupted = false;
    nlmsghdr header{};
    header.nlmsg_len = static_cast<std::uint32_t>(NLMSG_LENGTH(request.header_size));
    header.nlmsg_type = request.type;
    header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    header.nlmsg_seq = dumping_->sequence;
    std::array<std::byte, 64> bytes{};
    net::store(bytes.data(), header);
    net::store(bytes.data() + sizeof(header), request.family);
    if (send(socket_.native_handle(), bytes.data(), header.nlmsg_len, 0) < 0) {
        fail("cannot ask the kernel for its configuration");
    }
}

void Monitor::end_dump() {
    if (overflow_) {
        dumping_.reset();
        queued_.clear();
        resynchronise();
        return;
    }
    if (dumping_->interrupted && dumping_->repeats < most_repeats) {
        // What any of the attempts mentions exists.
        ++dumping_->repeats;
        request_dump();
        return;
    }
    mirror_.end_dump(std::exchange(dumping_, std::nullopt)->kind);
    if (queued_.empty() && std::exchange(full_, false)) complete_ = true;
    start_next_dump();
}

/// Collects the kinds that need another look for a moment: silence comes in groups.
void Monitor::check_stale() {
    stale_ |= mirror_.take_stale();
    if (stale_ == 0 || timer_runs_) return;
    timer_runs_ = true;
    stale_timer_.expires_after(stale_pause);
    stale_timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        timer_runs_ = false;
        const unsigned stale = std::exchange(stale_, 0U);
        for (std::size_t kind = 0; kind < kinds; ++kind) {
            if ((stale & (1U << kind)) == 0) continue;
            ++counters_.redumps;
            queue(static_cast<Kind>(kind));
        }
        start_next_dump();
    });
}

}  // namespace nlvs::kni
