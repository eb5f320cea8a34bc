#pragma once

// One client of IPVS: its sockets, and the bytes that go over them.

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nlvs::differential {

using Bytes = std::vector<unsigned char>;
using View = std::span<const unsigned char>;

// In sequences and answers the family has this number, whatever it has here.
inline constexpr std::uint16_t common_family = 0x4956;
inline constexpr std::uint32_t common_port = 1;
// What libnl offers; the kernel makes its dumps as large as what a client offered before.
inline constexpr std::size_t receive_size = 4096;

[[noreturn]] inline void fail(const char* what) {
    throw std::system_error(errno, std::system_category(), what);
}

template <class T>
T load(View bytes, std::size_t offset) {
    T value;
    if (offset > bytes.size() || bytes.size() - offset < sizeof(T))
        throw std::runtime_error("a truncated answer");
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
}

template <class T>
void append(Bytes& to, const T& value) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(&value);
    to.insert(to.end(), bytes, bytes + sizeof(T));
}

inline void append_attribute(Bytes& to, std::uint16_t type, View payload) {
    append(to, nlattr{static_cast<std::uint16_t>(NLA_HDRLEN + payload.size()), type});
    to.insert(to.end(), payload.begin(), payload.end());
    to.resize(NLA_ALIGN(to.size()));
}

inline Bytes request(
    std::uint16_t type, std::uint16_t flags, std::uint8_t command, View attributes = {}
) {
    Bytes bytes;
    nlmsghdr header{};
    header.nlmsg_len = static_cast<std::uint32_t>(NLMSG_HDRLEN + GENL_HDRLEN + attributes.size());
    header.nlmsg_type = type;
    header.nlmsg_flags = flags;
    append(bytes, header);
    append(bytes, genlmsghdr{command, 1, 0});
    bytes.insert(bytes.end(), attributes.begin(), attributes.end());
    return bytes;
}

/// Calls visit(offset, header) for each message that the kernel would find in a datagram.
template <class Visit>
void walk_messages(View bytes, Visit visit) {
    std::size_t offset = 0;
    while (bytes.size() - offset >= sizeof(nlmsghdr)) {
        const auto header = load<nlmsghdr>(bytes, offset);
        if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > bytes.size() - offset) return;
        visit(offset, header);
        offset += std::min(NLMSG_ALIGN(std::size_t{header.nlmsg_len}), bytes.size() - offset);
    }
}

inline void replace(Bytes& bytes, std::size_t offset, const nlmsghdr& header) {
    std::memcpy(bytes.data() + offset, &header, sizeof(header));
}

/// One client: a netlink socket, and a raw one for the old interface.
class Client {
public:
    explicit Client(std::uint16_t family) : family_{family} {
        netlink_ = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
        raw_ = ::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
        if (netlink_ < 0 || raw_ < 0) fail("socket");
        sockaddr_nl name{};
        name.nl_family = AF_NETLINK;
        socklen_t size = sizeof(name);
        if (::bind(netlink_, reinterpret_cast<sockaddr*>(&name), size) != 0 ||
            ::getsockname(netlink_, reinterpret_cast<sockaddr*>(&name), &size) != 0)
            fail("bind");
        port_ = name.nl_pid;
    }

    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    ~Client() {
        ::close(netlink_);
        ::close(raw_);
    }

    std::uint16_t family() const { return family_; }

    int raw() const { return raw_; }

    void set_netlink_option(int option, int value) {
        if (::setsockopt(netlink_, SOL_NETLINK, option, &value, sizeof(value)) != 0)
            fail("setsockopt");
    }

    /// Result of the call: bytes sent or -errno.
    std::int32_t send(Bytes bytes) {
        walk_messages(bytes, [&](std::size_t offset, nlmsghdr header) {
            if (header.nlmsg_type != common_family) return;
            header.nlmsg_type = family_;
            replace(bytes, offset, header);
        });
        sockaddr_nl kernel{};
        kernel.nl_family = AF_NETLINK;
        const ssize_t sent = ::sendto(
            netlink_,
            bytes.data(),
            bytes.size(),
            0,
            reinterpret_cast<sockaddr*>(&kernel),
            sizeof(kernel)
        );
        return sent < 0 ? -errno : static_cast<std::int32_t>(sent);
    }

    /// Every datagram there is, in order, as both sides would have it.
    std::vector<Bytes> receive_all() {
        std::vector<Bytes> result;
        for (;;) {
            Bytes bytes(receive_size);
            sockaddr_nl sender{};
            socklen_t size = sizeof(sender);
            const ssize_t received = ::recvfrom(
                netlink_,
                bytes.data(),
                bytes.size(),
                MSG_DONTWAIT | MSG_TRUNC,
                reinterpret_cast<sockaddr*>(&sender),
                &size
            );
            if (received < 0 && errno == EAGAIN) return result;
            if (received < 0) fail("recvfrom");
            if (sender.nl_pid != 0 || size != sizeof(sender) ||
                static_cast<std::size_t>(received) > bytes.size())
                throw std::runtime_error("an answer from another than the kernel, or a large one");
            bytes.resize(static_cast<std::size_t>(received));
            make_common(bytes);
            result.push_back(std::move(bytes));
        }
    }

private:
    void make_common(Bytes& bytes) const {
        walk_messages(Bytes(bytes), [&](std::size_t offset, nlmsghdr header) {
            if (header.nlmsg_type == family_) header.nlmsg_type = common_family;
            if (header.nlmsg_pid == port_) header.nlmsg_pid = common_port;
            replace(bytes, offset, header);
            constexpr std::size_t echo = NLMSG_HDRLEN + sizeof(int);
            if (header.nlmsg_type != NLMSG_ERROR || header.nlmsg_len < echo + sizeof(header))
                return;
            auto echoed = load<nlmsghdr>(bytes, offset + echo);
            if (echoed.nlmsg_type == family_) echoed.nlmsg_type = common_family;
            replace(bytes, offset + echo, echoed);
        });
    }

    std::uint16_t family_;
    int netlink_;
    int raw_;
    std::uint32_t port_ = 0;
};

}  // namespace nlvs::differential
