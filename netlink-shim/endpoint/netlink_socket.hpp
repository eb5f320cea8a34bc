#pragma once

#include "netlink-shim/endpoint/message_handler.hpp"
#include "netlink-shim/endpoint/owed_answers.hpp"
#include "netlink-shim/endpoint/session.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <span>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace nlvs::shim {

struct NetlinkSocketCounters {
    std::uint64_t messages = 0;
    std::uint64_t answers_dropped = 0;  ///< for clients that do not read
    std::uint64_t datagrams_lost = 0;   ///< receive buffer overrun; a client waits in vain
    std::uint64_t waits = 0;            ///< times a client's full buffer was waited for
};

/// The daemon's AF_NETLINK/NETLINK_GENERIC socket: receives what front ends redirect, asks the
/// handler for each message, and sends the answers as fast as each client reads.
/// A client that stops reading, or dies, affects nobody else. That a datagram arrives at all
/// means the kernel found CAP_NET_ADMIN (af_netlink.c netlink_allowed).
/// Handlers and `owed`, where it keeps who waits, must outlive the socket. Throws boost::system::system_error from construction.
/// Thread: control.
class NetlinkSocket {
public:
    NetlinkSocket(
        boost::asio::io_context& context,
        MessageHandler& family,
        MessageHandler& sockopt,
        OwedAnswers& owed
    );
    NetlinkSocket(const NetlinkSocket&) = delete;
    NetlinkSocket& operator=(const NetlinkSocket&) = delete;
    ~NetlinkSocket();

    /// Port id in this network namespace, for the RuntimeFile.
    std::uint32_t port() const noexcept { return port_; }

    /// For the Survivor.
    int descriptor() { return socket_.native_handle(); }

    void start();
    /// Who still waits stays owed.
    void stop();

    const NetlinkSocketCounters& counters() const noexcept { return counters_; }

    std::size_t sessions() const noexcept { return sessions_.size(); }

private:
    struct Conversation {
        explicit Conversation(boost::asio::io_context& context) : timer(context) {}

        Session session;
        nlmsghdr last_request = {};
        OwedAnswers::Debt debt;
        boost::asio::steady_timer timer;
        std::chrono::microseconds pause{0};
    };

    void wait();
    void receive_all();
    void receive_datagram(std::span<const std::byte> bytes, std::uint32_t sender);
    void handle_message(
        std::span<const std::byte> message, std::uint32_t sender, const netlink::AckOptions& options
    );
    void flush(std::span<const std::byte> message, std::uint32_t sender);
    void advance(std::uint32_t client);
    void schedule(std::uint32_t client, const std::shared_ptr<Conversation>& conversation);
    SendStatus send(std::uint32_t client, std::span<const std::byte> datagram);

    boost::asio::io_context& context_;
    MessageHandler& family_;
    MessageHandler& sockopt_;
    OwedAnswers& owed_;
    boost::asio::posix::stream_descriptor socket_;
    std::uint32_t port_;
    std::map<std::uint32_t, std::shared_ptr<Conversation>> sessions_;
    NetlinkSocketCounters counters_;
};

}  // namespace nlvs::shim
