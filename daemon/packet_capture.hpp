#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/worker_mail.hpp"

namespace nlvs::daemon {

/// `nlvsctl capture`: what the workers receive and send on the ports, as a pcapng stream. A client
/// asks with "count=N snap=N port=NAME", each word optional and the name last; it gets "ok\n" once
/// every worker copies packets, then blocks. The capture ends when the client shuts its side down or
/// goes away, or after N packets; what is left is sent then, and for each port how many packets were
/// lost because the client or this thread was slow. A worker never waits for either.
///
/// There is one capture at a time. While there is none, workers compare a pointer with null for each
/// burst.
/// Thread: control.
class PacketCapture {
public:
    using Socket = boost::asio::local::stream_protocol::socket;

    /// By which `port=` names it, in the order of forwarding::PortIndex.
    struct Port {
        std::string shadow;
        std::string device;
    };

    static constexpr std::uint16_t default_snap = 2048;  ///< more than any buffer holds

    PacketCapture(boost::asio::io_context& context, WorkerMail& mail, std::vector<Port> ports);
    PacketCapture(const PacketCapture&) = delete;
    PacketCapture& operator=(const PacketCapture&) = delete;
    ~PacketCapture();

    /// A client's request; refused with "error\n" and a sentence.
    void begin(std::string_view request, Socket client);

private:
    class Session;

    boost::asio::io_context& context_;
    WorkerMail& mail_;
    std::vector<Port> ports_;
    std::weak_ptr<Session> current_;
};

}  // namespace nlvs::daemon
