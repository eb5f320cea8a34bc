#pragma once

#include "kni/kernel_mirror.hpp"
#include "kni/rtnetlink/from_message.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace nlvs::kni {

struct MonitorCounters {
    std::uint64_t messages = 0;
    std::uint64_t resyncs = 0;    ///< full dumps, the first included
    std::uint64_t redumps = 0;    ///< dumps of one kind, because the kernel may have been silent
    std::uint64_t overflows = 0;  ///< the socket's buffer did not hold all events
    std::array<std::uint64_t, ignored_reasons> ignored{};
};

/// Keeps the mirror true: subscribes to the kernel's announcements, then dumps everything through
/// the same socket, so that a dump's parts and the events between them arrive in the order in
/// which the kernel saw them. When the socket overflows, everything is dumped again.
///
/// Dumps run one after the other, and a dump that the kernel reports as interrupted by changes is
/// repeated, a few times at most.
/// Throws boost::system::system_error. Thread: control.
class Monitor {
public:
    Monitor(boost::asio::io_context& context, KernelMirror& mirror);
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;
    ~Monitor();

    /// Subscribes and starts the first dump; takes in what comes within `patience`, or until the
    /// mirror is complete, then goes on in the background.
    void start(std::chrono::milliseconds patience);
    void stop();

    /// Everything was dumped at least once and no dump is under way.
    bool synchronised() const noexcept { return complete_ && !dumping_; }

    /// Dumps everything again.
    void resynchronise();

    const MonitorCounters& counters() const noexcept { return counters_; }

    /// Bytes of announcements that the kernel holds for us: how far the mirror is behind.
    std::uint32_t behind() const noexcept;

    /// Bytes that the kernel may queue for us; small values make overflows, for tests.
    void set_receive_buffer(int bytes);

private:
    struct Dump {
        Kind kind;
        std::uint32_t sequence = 0;
        unsigned repeats = 0;
        bool interrupted = false;
    };

    static constexpr unsigned most_repeats = 5;

    void wait();
    /// False when nothing was there.
    bool receive_once();
    void take(const netlink::MessageView& message);
    void queue(Kind kind);
    void start_next_dump();
    void request_dump();
    void end_dump();
    void check_stale();

    boost::asio::posix::stream_descriptor socket_;
    boost::asio::steady_timer stale_timer_;
    KernelMirror& mirror_;
    std::vector<std::byte> buffer_;
    std::uint32_t port_ = 0;
    std::uint32_t sequence_ = 0;
    std::optional<Dump> dumping_;
    std::vector<Kind> queued_;
    bool overflow_ = false;
    bool complete_ = false;
    bool full_ = false;  ///< the queued dumps are a full resync
    unsigned stale_ = 0;
    bool timer_runs_ = false;
    MonitorCounters counters_;
};

}  // namespace nlvs::kni
