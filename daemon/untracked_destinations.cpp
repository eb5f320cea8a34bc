#include "daemon/untracked_destinations.hpp"

#include <ifaddrs.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace nlvs::daemon {
namespace {

AddressType classify(net::Ipv4Address address) noexcept {
    const std::uint32_t host = address.host();
    if (host == 0) return AddressType::unspecified;
    if (host == ~0U) return AddressType::broadcast;
    if (net::is_multicast(address)) return AddressType::multicast;
    return AddressType::unicast;
}

AddressType classify(const net::Ipv6Address& address) noexcept {
    const auto& bytes = address.bytes();
    if (net::is_multicast(address)) return AddressType::multicast;
    if (bytes[0] == 0xFE && (bytes[1] & 0xC0) == 0x80) return AddressType::link_local;
    if (bytes == net::Ipv6Address::Bytes{}) return AddressType::unspecified;
    constexpr std::array<std::uint8_t, 12> mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    if (std::equal(mapped_prefix.begin(), mapped_prefix.end(), bytes.begin())) {
        return AddressType::mapped;
    }
    return AddressType::unicast;
}

/// Linux: ipv6_chk_addr with no device: on any interface.
bool is_configured(const net::Ipv6Address& address) {
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return false;
    const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner{list, freeifaddrs};
    for (const ifaddrs* i = list; i != nullptr; i = i->ifa_next) {
        if (i->ifa_addr == nullptr || i->ifa_addr->sa_family != AF_INET6) continue;
        sockaddr_in6 present{};
        std::memcpy(&present, i->ifa_addr, sizeof(present));
        if (std::memcmp(&present.sin6_addr, address.bytes().data(), 16) == 0) return true;
    }
    return false;
}

}  // namespace

AddressType classify(const net::IpAddress& address) noexcept {
    return address.is_v4() ? classify(address.v4()) : classify(address.v6());
}

UntrackedDestinations::UntrackedDestinations() : socket_{mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC)} {
    if (socket_ == nullptr || mnl_socket_bind(socket_, 0, MNL_SOCKET_AUTOPID) < 0) {
        throw std::runtime_error{"cannot open a routing socket to the kernel"};
    }
}

UntrackedDestinations::~UntrackedDestinations() { mnl_socket_close(socket_); }

AddressType UntrackedDestinations::address_type(const net::IpAddress& address) const {
    const AddressType type = classify(address);
    if (address.is_v4()) return type == AddressType::unicast ? route_type(address.v4()) : type;
    if (type != AddressType::link_local) return type;
    return is_configured(address.v6()) ? AddressType::local : type;
}

/// Linux: fib_frontend.c inet_addr_type. An address without a route counts as unicast.
AddressType UntrackedDestinations::route_type(net::Ipv4Address address) const {
    std::array<char, 8192> buffer{};
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = RTM_GETROUTE;
    request->nlmsg_flags = NLM_F_REQUEST;
    request->nlmsg_seq = ++sequence_;
    auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)));
    route->rtm_family = AF_INET;
    route->rtm_dst_len = 32;
    mnl_attr_put_u32(request, RTA_DST, address.wire().wire());
    if (mnl_socket_sendto(socket_, request, request->nlmsg_len) < 0) return AddressType::unicast;
    const auto size = mnl_socket_recvfrom(socket_, buffer.data(), buffer.size());
    nlmsghdr reply{};
    if (size < static_cast<ssize_t>(sizeof(reply) + sizeof(rtmsg))) return AddressType::unicast;
    std::memcpy(&reply, buffer.data(), sizeof(reply));
    if (reply.nlmsg_type != RTM_NEWROUTE) return AddressType::unicast;
    rtmsg found{};
    std::memcpy(&found, buffer.data() + NLMSG_HDRLEN, sizeof(found));
    if (found.rtm_type == RTN_LOCAL) return AddressType::local;
    if (found.rtm_type == RTN_BROADCAST) return AddressType::broadcast;
    return AddressType::unicast;
}

}  // namespace nlvs::daemon
