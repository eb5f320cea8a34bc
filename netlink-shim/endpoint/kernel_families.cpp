#include "netlink-shim/endpoint/kernel_families.hpp"

#include "netlink-shim/core/protocol.hpp"

#include <array>
#include <cstring>
#include <string_view>

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nlvs::shim {

namespace {

/// Plain system calls: with the preload library in this process, libc's would ask ourselves.
class KernelSocket {
public:
    KernelSocket()
        : descriptor_(static_cast<int>(syscall(
              SYS_socket, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_GENERIC
          ))) {}

    KernelSocket(const KernelSocket&) = delete;
    KernelSocket& operator=(const KernelSocket&) = delete;

    ~KernelSocket() {
        if (descriptor_ >= 0) syscall(SYS_close, descriptor_);
    }

    bool ask() const {
        struct {
            nlmsghdr header;
            genlmsghdr command;
        } request = {};

        request.header.nlmsg_len = sizeof(request);
        request.header.nlmsg_type = GENL_ID_CTRL;
        request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
        request.command.cmd = CTRL_CMD_GETFAMILY;
        request.command.version = 1;
        const long size = sizeof(request);
        sockaddr_nl kernel = {};
        kernel.nl_family = AF_NETLINK;
        return syscall(SYS_sendto, descriptor_, &request, size, 0, &kernel, sizeof(kernel)) == size;
    }

    /// Linux: af_netlink.c netlink_recvmsg — reading makes the next datagram, so without waiting
    /// nothing but the end is missed.
    Datagram receive() const {
        Datagram datagram(1 << 15);
        const long size = syscall(
            SYS_recvfrom, descriptor_, datagram.data(), datagram.size(), 0, nullptr, nullptr
        );
        datagram.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
        return datagram;
    }

private:
    int descriptor_;
};

bool is_ipvs_entry(std::span<const std::byte> message) {
    std::size_t at = NLMSG_HDRLEN + GENL_HDRLEN;
    while (at + NLA_HDRLEN <= message.size()) {
        nlattr attribute;
        std::memcpy(&attribute, message.data() + at, sizeof(attribute));
        if (attribute.nla_len < NLA_HDRLEN || attribute.nla_len > message.size() - at) break;
        if (attribute.nla_type == CTRL_ATTR_FAMILY_NAME) {
            constexpr std::size_t size = sizeof(ipvs_family_name);
            return attribute.nla_len == NLA_HDRLEN + size &&
                   std::memcmp(message.data() + at + NLA_HDRLEN, ipvs_family_name, size) == 0;
        }
        at += NLA_ALIGN(static_cast<std::size_t>(attribute.nla_len));
    }
    return false;
}

/// Moves what of `datagram` is for the client to `result`; false when DONE or an error came.
bool take_entries(
    std::span<const std::byte> datagram,
    std::uint32_t sequence,
    std::uint32_t port,
    Datagram& result
) {
    while (datagram.size() >= sizeof(nlmsghdr)) {
        nlmsghdr header;
        std::memcpy(&header, datagram.data(), sizeof(header));
        if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > datagram.size()) return false;
        if (header.nlmsg_type != GENL_ID_CTRL) return false;
        const std::size_t step =
            std::min(NLMSG_ALIGN(std::size_t{header.nlmsg_len}), datagram.size());
        if (!is_ipvs_entry(datagram.first(header.nlmsg_len))) {
            header.nlmsg_seq = sequence;
            header.nlmsg_pid = port;
            const std::size_t at = result.size();
            result.insert(
                result.end(), datagram.begin(), datagram.begin() + static_cast<std::ptrdiff_t>(step)
            );
            std::memcpy(result.data() + at, &header, sizeof(header));
        }
        datagram = datagram.subspan(step);
    }
    return true;
}

}  // namespace

std::vector<Datagram> kernel_families(std::uint32_t sequence, std::uint32_t port) {
    std::vector<Datagram> result;
    const KernelSocket socket;
    if (!socket.ask()) return result;
    for (;;) {
        const Datagram datagram = socket.receive();
        if (datagram.empty()) return result;
        Datagram entries;
        const bool more = take_entries(datagram, sequence, port, entries);
        if (!entries.empty()) result.push_back(std::move(entries));
        if (!more) return result;
    }
}

}  // namespace nlvs::shim
