#pragma once

#include "netlink-shim/core/protocol.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <linux/netlink.h>

namespace nlvs::shim {

/// Which clients have asked and not been answered yet, in memory that outlives the process: the
/// Survivor reads it when the daemon is gone. Two places: the datagram that is being handled,
/// received into this memory so that there is no moment in which it is nowhere, and a table of
/// clients who are still to get something. Written without locks: whoever reads does so after the
/// writer's death. Throws std::system_error from construction.
/// Thread: control; after it, the Survivor's process.
class OwedAnswers {
public:
    // Linux: af_netlink.c netlink_sendmsg — a datagram fits the sender's buffer, libnl's is 32 KiB.
    static constexpr std::size_t max_datagram = 1 << 20;
    /// More clients at once are served all the same, but not remembered.
    static constexpr std::size_t max_clients = 16384;

    struct Entry {
        std::atomic<std::uint32_t> port = 0;  ///< of the client; 0: free
        nlmsghdr request = {};                ///< its last one
    };

    /// A client's entry, from the moment it has to wait to its last datagram.
    class Debt {
    public:
        Debt() = default;
        Debt(OwedAnswers& owner, std::uint32_t port, const nlmsghdr& request) noexcept;
        Debt(Debt&& other) noexcept;
        Debt& operator=(Debt&& other) noexcept;
        ~Debt();

    private:
        OwedAnswers* owner_ = nullptr;
        std::size_t index_ = 0;
    };

    OwedAnswers();
    OwedAnswers(const OwedAnswers&) = delete;
    OwedAnswers& operator=(const OwedAnswers&) = delete;
    ~OwedAnswers();

    /// Where to receive the next datagram and its sender.
    std::span<std::byte> inbox() noexcept { return shared_->inbox; }

    sockaddr_nl& sender() noexcept { return shared_->sender; }

    /// The datagram of `size` bytes is answered, or in the table. What is left in the inbox ends
    /// where the next datagram ends.
    void clear_inbox(std::size_t size) noexcept;

    /// From here on nothing is settled: who still waits will not be answered.
    void freeze() noexcept { frozen_ = true; }

    std::span<const Entry> clients() const noexcept { return shared_->clients; }

private:
    struct Shared {
        sockaddr_nl sender;  ///< nl_pid 0: the inbox is empty
        Entry clients[max_clients];
        std::byte inbox[max_datagram];
    };

    Shared* shared_;
    std::vector<std::uint32_t> free_;
    bool frozen_ = false;
};

}  // namespace nlvs::shim
