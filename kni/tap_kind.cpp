#include "kni/tap_kind.hpp"

#include "compat/netlink/message.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>

namespace nlvs::kni {
namespace {

[[noreturn]] void fail(const std::string& name) {
    throw std::runtime_error("cannot inquire netdev " + name + ": " + std::strerror(errno));
}

/// The attribute's payload; empty when it is not there.
netlink::Bytes find(netlink::Bytes attributes, std::uint16_t type) {
    while (const auto attribute = netlink::take_attribute(attributes)) {
        if (attribute->type() == type) return attribute->payload();
    }
    return {};
}

bool is_set(netlink::Bytes attributes, std::uint16_t type) {
    const auto value = net::extract<std::uint8_t>(find(attributes, type));
    return value && *value != 0;
}

/// The kernel's description of a netdev, as one message.
std::vector<std::byte> describe(const std::string& name) {
    const std::unique_ptr<mnl_socket, decltype(&mnl_socket_close)> socket{
        mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC), mnl_socket_close};
    if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) fail(name);
    std::array<char, 512> request{};
    nlmsghdr* message = mnl_nlmsg_put_header(request.data());
    message->nlmsg_type = RTM_GETLINK;
    message->nlmsg_flags = NLM_F_REQUEST;
    mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg));
    mnl_attr_put_strz(message, IFLA_IFNAME, name.c_str());
    if (mnl_socket_sendto(socket.get(), message, message->nlmsg_len) < 0) fail(name);
    std::vector<std::byte> answer(32 * 1024);
    const ssize_t size = mnl_socket_recvfrom(socket.get(), answer.data(), answer.size());
    if (size < 0) fail(name);
    answer.resize(static_cast<std::size_t>(size));
    return answer;
}

}  // namespace

std::optional<TapKind> tap_kind(const std::string& name) {
    const auto answer = describe(name);
    const auto message = netlink::MessageView::parse(answer);
    if (!message || message->type() != RTM_NEWLINK) return std::nullopt;
    const auto attributes = message->payload().subspan(sizeof(ifinfomsg));
    const auto information = find(attributes, IFLA_LINKINFO);
    const netlink::AttributeView kind{0, find(information, IFLA_INFO_KIND)};
    const auto details = find(information, IFLA_INFO_DATA);
    const auto type = net::extract<std::uint8_t>(find(details, IFLA_TUN_TYPE));
    if (kind.text() != "tun" || type != IFF_TAP) return std::nullopt;
    return TapKind{
        is_set(details, IFLA_TUN_PI),
        is_set(details, IFLA_TUN_VNET_HDR),
        is_set(details, IFLA_TUN_MULTI_QUEUE)};
}

}  // namespace nlvs::kni
