#pragma once

#include "compat/netlink/builder.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace nlvs::shim {

using Datagram = std::vector<std::byte>;

/// A listing in progress. It holds no lock and no pointer into the registry, only a cursor.
/// Thread: control.
class Dump {
public:
    Dump() = default;
    Dump(const Dump&) = delete;
    Dump& operator=(const Dump&) = delete;
    virtual ~Dump() = default;

    /// The next datagram of at most `size` bytes (more only if a single message is larger);
    /// empty when only the DONE datagram is left, which done() makes.
    virtual Datagram next(std::size_t size) = 0;
    virtual Datagram done() = 0;
};

/// What one request is answered with: the datagrams in order, each sent on its own; then, if
/// set, the dump.
struct Answer {
    std::vector<Datagram> datagrams;
    std::unique_ptr<Dump> dump;
};

/// Who asks, as the socket knows it.
struct Client {
    std::uint32_t port = 0;         ///< netlink port id
    bool privileged = true;         ///< CAP_NET_ADMIN over the namespace
    bool dump_running = false;      ///< a second dump on the same port is EBUSY
    netlink::AckOptions options{};
};

/// Turns one netlink message (header and payload, exactly nlmsg_len bytes) into its answer.
/// No I/O. Linux: af_netlink.c netlink_rcv_skb, genetlink.c genl_rcv_msg.
/// Thread: control.
class MessageHandler {
public:
    MessageHandler() = default;
    MessageHandler(const MessageHandler&) = delete;
    MessageHandler& operator=(const MessageHandler&) = delete;
    virtual ~MessageHandler() = default;

    virtual Answer handle(std::span<const std::byte> message, const Client& client) = 0;
};

}  // namespace nlvs::shim
