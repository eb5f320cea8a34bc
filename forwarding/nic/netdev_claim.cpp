#include "forwarding/nic/netdev_claim.hpp"

#include "forwarding/nic/netdev_request.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string_view>

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nlvs::forwarding {
namespace {

[[noreturn]] void fail(const std::string& what, int error) {
    throw std::runtime_error(what + ": " + std::strerror(error));
}

nlmsghdr* put_message(
    void* at, std::uint16_t type, std::uint16_t flags, std::uint8_t family, std::uint16_t resource
) {
    nlmsghdr* message = mnl_nlmsg_put_header(at);
    message->nlmsg_type = type;
    message->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    nfgenmsg header{};
    header.nfgen_family = family;
    header.version = NFNETLINK_V0;
    header.res_id = htons(resource);
    std::memcpy(mnl_nlmsg_put_extra_header(message, sizeof(header)), &header, sizeof(header));
    return message;
}

constexpr std::uint16_t table_type(int message) {
    return static_cast<std::uint16_t>((NFNL_SUBSYS_NFTABLES << 8) | message);
}

/// The batch "add table netdev TABLE { flags owner; chain drop { type filter hook ingress device
/// DEVICE priority 0; policy drop; } }". Returns its length.
std::size_t put_drop_chain(char* buffer, const std::string& table, const std::string& device) {
    char* at = buffer;
    const auto advance = [&at](const nlmsghdr* message) { at += MNL_ALIGN(message->nlmsg_len); };

    advance(put_message(at, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));

    nlmsghdr* message = put_message(
        at, table_type(NFT_MSG_NEWTABLE), NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, NFPROTO_NETDEV, 0
    );
    mnl_attr_put_strz(message, NFTA_TABLE_NAME, table.c_str());
    mnl_attr_put_u32(message, NFTA_TABLE_FLAGS, htonl(NFT_TABLE_F_OWNER));
    advance(message);

    message =
        put_message(at, table_type(NFT_MSG_NEWCHAIN), NLM_F_CREATE | NLM_F_ACK, NFPROTO_NETDEV, 0);
    mnl_attr_put_strz(message, NFTA_CHAIN_TABLE, table.c_str());
    mnl_attr_put_strz(message, NFTA_CHAIN_NAME, "drop");
    nlattr* hook = mnl_attr_nest_start(message, NFTA_CHAIN_HOOK);
    mnl_attr_put_u32(message, NFTA_HOOK_HOOKNUM, htonl(NF_NETDEV_INGRESS));
    mnl_attr_put_u32(message, NFTA_HOOK_PRIORITY, htonl(0));
    mnl_attr_put_strz(message, NFTA_HOOK_DEV, device.c_str());
    mnl_attr_nest_end(message, hook);
    mnl_attr_put_u32(message, NFTA_CHAIN_POLICY, htonl(NF_DROP));
    mnl_attr_put_strz(message, NFTA_CHAIN_TYPE, "filter");
    advance(message);

    advance(put_message(at, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
    return static_cast<std::size_t>(at - buffer);
}

/// 0 when both acknowledgements arrive, else the errno.
int await_acknowledgements(int socket, int wanted) {
    while (wanted > 0) {
        alignas(nlmsghdr) std::array<char, 8192> buffer;
        const ssize_t size = recv(socket, buffer.data(), buffer.size(), 0);
        if (size < 0) return errno;
        int left = static_cast<int>(size);
        for (const auto* message =
                 static_cast<const nlmsghdr*>(static_cast<const void*>(buffer.data()));
             mnl_nlmsg_ok(message, left);
             message = mnl_nlmsg_next(message, &left)) {
            if (message->nlmsg_type != NLMSG_ERROR) continue;
            nlmsgerr error{};
            std::memcpy(&error, mnl_nlmsg_get_payload(message), sizeof(error));
            if (error.error != 0) return -error.error;
            --wanted;
        }
    }
    return 0;
}

std::string ipv6_switch(const std::string& name) {
    return "/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6";
}

}  // namespace

NetdevClaim::NetdevClaim(const std::string& name) : name_{name} {
    NetdevRequest request{name};
    index_ = request.index();
    was_up_ = (request.flags() & IFF_UP) != 0;
    const std::string driver = request.driver();
    partial_checksums_ =
        driver == "veth" || driver == "tun" || driver == "virtio_net" || driver == "bridge";
    try {
        block_ingress();
        set_ipv6_disabled('1');
        gro_was_on_ = request.switch_offload(NetdevRequest::Offload::generic_receive, false);
        request.switch_offload(NetdevRequest::Offload::large_receive, false);
        request.set_up(true);
    } catch (...) {
        if (netfilter_socket_ >= 0) close(netfilter_socket_);
        throw;
    }
}

NetdevClaim::~NetdevClaim() {
    try {
        NetdevRequest request{name_};
        if (gro_was_on_) request.switch_offload(NetdevRequest::Offload::generic_receive, true);
        if (ipv6_was_disabled_ == '0') set_ipv6_disabled('0');
        if (!was_up_) request.set_up(false);
    } catch (const std::exception&) {
        // The netdev is gone, and with it all there was to undo.
    }
    close(netfilter_socket_);
}

net::MacAddress NetdevClaim::mac() const {
    return NetdevRequest{name_}.mac();
}

std::uint16_t NetdevClaim::mtu() const {
    return NetdevRequest{name_}.mtu();
}

void NetdevClaim::block_ingress() {
    netfilter_socket_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (netfilter_socket_ < 0) fail("cannot open a netfilter socket", errno);
    const timeval patience{2, 0};
    setsockopt(netfilter_socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    alignas(nlmsghdr) std::array<char, 2048> buffer{};
    const std::size_t size = put_drop_chain(buffer.data(), "nlvs-" + name_, name_);
    if (send(netfilter_socket_, buffer.data(), size, 0) < 0)
        fail("cannot talk to netfilter", errno);
    if (const int error = await_acknowledgements(netfilter_socket_, 2);
        error == EEXIST || error == EPERM) {
        throw std::runtime_error(
            "netdev " + name_ + " is already taken: table netdev nlvs-" + name_ + " exists"
        );
    } else if (error != 0) {
        fail("cannot keep the kernel from processing packets of " + name_, error);
    }
}

void NetdevClaim::set_ipv6_disabled(char value) {
    std::fstream file{ipv6_switch(name_), std::ios::in | std::ios::out};
    if (!file) return;  // a kernel without IPv6
    if (ipv6_was_disabled_ == 0) ipv6_was_disabled_ = static_cast<char>(file.get());
    file.seekp(0);
    file.put(value);
}

}  // namespace nlvs::forwarding
