#pragma once

#include "kni/nftables/objects.hpp"
#include "kni/nftables/reader.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace nlvs::nftables {

struct MonitorCounters {
    std::uint64_t announcements = 0;
    std::uint64_t reads = 0;
    std::uint64_t overflows = 0;
    std::uint64_t failures = 0;  ///< reads that came to nothing; they are repeated
};

/// Follows the kernel's rules: subscribes to their changes, and reads them anew a moment after
/// something changed that has a say in marks, when elements of a set have reached their end, and
/// when announcements were lost. A moment, so that a burst of transactions is one read, and never
/// more than a tenth of this thread's time.
/// Thread: control.
class RulesetMonitor {
public:
    using Changed = std::function<void(const Ruleset&)>;

    RulesetMonitor(boost::asio::io_context& context, Changed changed);
    RulesetMonitor(const RulesetMonitor&) = delete;
    RulesetMonitor& operator=(const RulesetMonitor&) = delete;

    /// Rules that are there are known when this returns, unless they cannot be read now.
    void start();

    const MonitorCounters& counters() const noexcept { return counters_; }

    /// Why the rules are not known; empty when they are.
    const std::string& error() const noexcept { return error_; }

private:
    using Clock = std::chrono::steady_clock;

    bool subscribe();
    void wait();
    bool receive_once();
    bool matters(const netlink::MessageView& message) const;
    void read_after(Clock::duration pause);
    void read();
    void follow_expiry(const Ruleset& ruleset);

    boost::asio::posix::stream_descriptor socket_;
    boost::asio::steady_timer timer_;
    boost::asio::steady_timer expiry_;
    Changed changed_;
    Reader reader_;
    std::vector<std::byte> buffer_;
    std::set<SetName> sets_;  ///< whose elements have a say
    bool scheduled_ = false;
    Clock::time_point not_before_;
    MonitorCounters counters_;
    std::string error_;
};

}  // namespace nlvs::nftables
