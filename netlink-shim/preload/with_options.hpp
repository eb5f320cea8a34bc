#pragma once

#include "netlink-shim/core/protocol.hpp"

#include <cstddef>
#include <cstdint>

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace nlvs::shim {

/// What the daemon must know about a socket, as the first part of a message: nothing unless an
/// option is set. Must outlive the sending. A message of more parts than these goes without.
class WithOptions {
public:
    static constexpr std::size_t max_parts = 64;

    WithOptions(int socket, msghdr& message) noexcept {
        const std::uint32_t options = options_of(socket);
        if (options == 0 || message.msg_iovlen > max_parts) return;
        first_ = {{sizeof(first_), options_message_type, 0, 0, 0}, options};
        parts_[0] = {&first_, sizeof(first_)};
        for (std::size_t i = 0; i < message.msg_iovlen; ++i) parts_[i + 1] = message.msg_iov[i];
        message.msg_iov = parts_;
        ++message.msg_iovlen;
        size_ = sizeof(first_);
    }

    WithOptions(const WithOptions&) = delete;
    WithOptions& operator=(const WithOptions&) = delete;

    /// How much longer the message is than its sender knows.
    ssize_t size() const noexcept { return size_; }

private:
    static std::uint32_t options_of(int socket) noexcept {
        constexpr struct {
            int option;
            std::uint32_t bit;
        } known[] = {{NETLINK_CAP_ACK, option_cap_ack}, {NETLINK_EXT_ACK, option_ext_ack}};

        std::uint32_t word = 0;
        for (const auto& [option, bit] : known) {
            int value = 0;
            socklen_t size = sizeof(value);
            if (syscall(SYS_getsockopt, socket, SOL_NETLINK, option, &value, &size) == 0 &&
                value != 0)
                word |= bit;
        }
        return word;
    }

    struct {
        nlmsghdr header;
        std::uint32_t options;
    } first_;

    iovec parts_[max_parts + 1];
    ssize_t size_ = 0;
};

}  // namespace nlvs::shim
