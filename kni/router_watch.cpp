#include "kni/router_watch.hpp"

#include "compat/net/bytes.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>

#include <linux/netconf.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace nlvs::kni {
namespace {

constexpr std::chrono::seconds period{1};
constexpr std::chrono::milliseconds between_reads{50};

class Descriptor {
public:
    explicit Descriptor(int number) : number_{number} {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    ~Descriptor() {
        if (number_ >= 0) close(number_);
    }

    int get() const noexcept { return number_; }

private:
    int number_;
};

/// What a dump request may come to.
enum class Outcome : std::uint8_t { complete, unsupported, failed };

/// Everything the kernel has of `type`, message by message. `header` follows nlmsghdr.
template <class Header, class Take>
Outcome dump(int protocol, std::uint16_t type, const Header& header, Take&& take) {
    const Descriptor socket{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)};
    if (socket.get() < 0) {
        return errno == EPROTONOSUPPORT ? Outcome::unsupported : Outcome::failed;
    }
    const timeval patience{1, 0};
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    std::array<std::byte, 128> request{};
    nlmsghdr message{};
    message.nlmsg_len = static_cast<std::uint32_t>(NLMSG_LENGTH(sizeof(header)));
    message.nlmsg_type = type;
    message.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    net::store(request.data(), message);
    net::store(request.data() + sizeof(message), header);
    if (send(socket.get(), request.data(), message.nlmsg_len, 0) < 0) return Outcome::failed;
    std::vector<std::byte> buffer(64 << 10);
    for (;;) {
        const ssize_t size = recv(socket.get(), buffer.data(), buffer.size(), 0);
        if (size <= 0) return Outcome::failed;
        netlink::Bytes rest{buffer.data(), static_cast<std::size_t>(size)};
        while (const auto reply = netlink::take_message(rest)) {
            if (reply->type() == NLMSG_DONE) return Outcome::complete;
            if (reply->type() == NLMSG_ERROR) {
                const auto error = net::extract<nlmsgerr>(reply->payload());
                const bool absent = error && (error->error == -EOPNOTSUPP || error->error == -EINVAL);
                return absent ? Outcome::unsupported : Outcome::failed;
            }
            take(*reply);
        }
    }
}

constexpr std::uint16_t nft_type(int message) {
    return static_cast<std::uint16_t>((NFNL_SUBSYS_NFTABLES << 8) | message);
}

std::string text_of(const char* path) {
    std::ifstream file{path};
    return {std::istreambuf_iterator<char>{file}, std::istreambuf_iterator<char>{}};
}

std::string old_tables() {
    return text_of("/proc/self/net/ip_tables_names") + "|" + text_of("/proc/self/net/ip6_tables_names");
}

void read_settings(RouterState& state) {
    for (const int family : {AF_INET, AF_INET6}) {
        netconfmsg header{};
        header.ncm_family = static_cast<std::uint8_t>(family);
        // What is not mentioned does not forward.
        dump(NETLINK_ROUTE, RTM_GETNETCONF, header, [&state](const auto& message) {
            if (message.type() == RTM_NEWNETCONF) take_settings(state, message);
        });
    }
}

void read_obstacles(RouterState& state) {
    nfgenmsg any_family{};
    const Outcome chains =
        dump(NETLINK_NETFILTER, nft_type(NFT_MSG_GETCHAIN), any_family, [&state](const auto& message) {
            if (message.type() == nft_type(NFT_MSG_NEWCHAIN)) take_chain(state, message);
        });
    xfrm_userpolicy_id any_policy{};
    const Outcome policies =
        dump(NETLINK_XFRM, XFRM_MSG_GETPOLICY, any_policy, [&state](const auto& message) {
            if (message.type() == XFRM_MSG_NEWPOLICY) take_policy(state, message);
        });
    take_old_tables(state, net::Family::inet, text_of("/proc/self/net/ip_tables_names"));
    take_old_tables(state, net::Family::inet6, text_of("/proc/self/net/ip6_tables_names"));
    if (chains != Outcome::failed && policies != Outcome::failed) return;
    state.obstacle_v4 = state.obstacle_v6 = "the kernel does not tell its rules";
}

}  // namespace

RouterWatch::RouterWatch(boost::asio::io_context& context, Changed changed)
    : context_{context}, timer_{context}, soon_{context}, changed_{std::move(changed)} {}

void RouterWatch::start() {
    listen(NETLINK_ROUTE, {RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF});
    listen(NETLINK_NETFILTER, {NFNLGRP_NFTABLES});
    listen(NETLINK_XFRM, {XFRMNLGRP_POLICY});
    refresh();
    schedule();
    for (std::size_t i = 0; i < listeners_.size(); ++i) wait(i);
}

void RouterWatch::listen(int protocol, const std::vector<int>& groups) {
    const int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
    if (descriptor < 0) return;  // a kernel without it has nothing to announce
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    const auto* generic = static_cast<const sockaddr*>(static_cast<const void*>(&address));
    bind(descriptor, generic, sizeof(address));
    for (const int group : groups) {
        setsockopt(descriptor, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group));
    }
    listeners_.emplace_back(context_, descriptor);
}

void RouterWatch::wait(std::size_t listener) {
    auto& socket = listeners_[listener];
    socket.async_wait(
        boost::asio::posix::stream_descriptor::wait_read,
        [this, listener](const boost::system::error_code& error) {
            if (error) return;
            // Only that something came matters; an overflow says the same.
            std::array<std::byte, 4096> buffer;
            const int descriptor = listeners_[listener].native_handle();
            while (recv(descriptor, buffer.data(), buffer.size(), MSG_TRUNC) >= 0 ||
                   errno == ENOBUFS) {
            }
            announced();
            wait(listener);
        }
    );
}

void RouterWatch::announced() {
    const auto next = last_read_ + between_reads;
    if (std::chrono::steady_clock::now() >= next) return refresh();
    if (std::exchange(waits_, true)) return;
    soon_.expires_at(next);
    soon_.async_wait([this](const boost::system::error_code& error) {
        waits_ = false;
        if (!error) refresh();
    });
}

void RouterWatch::schedule() {
    timer_.expires_after(period);
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        if (old_tables_ != old_tables()) refresh();
        schedule();
    });
}

void RouterWatch::refresh() {
    ++reads_;
    last_read_ = std::chrono::steady_clock::now();
    RouterState now;
    old_tables_ = old_tables();
    read_settings(now);
    read_obstacles(now);
    if (now == state_ && reads_ > 1) return;
    state_ = std::move(now);
    changed_(state_);
}

}  // namespace nlvs::kni
