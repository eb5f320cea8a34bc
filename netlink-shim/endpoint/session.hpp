#pragma once

#include "netlink-shim/endpoint/message_handler.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <span>

namespace nlvs::shim {

enum class SendStatus : std::uint8_t {
    sent,
    full,  ///< the client's receive buffer has no room now
    gone,  ///< nobody has that port any more
};

/// What one client still has to get: answers waiting, then at most one dump, which is generated
/// as the client reads. So a reader that stopped costs one datagram, however long the listing.
/// Never blocks, never drops part of a dump. No I/O of its own.
/// Linux: af_netlink.c netlink_dump — a dump is resumed by the reader, too.
/// Thread: control.
class Session {
public:
    using Send = std::function<SendStatus(std::span<const std::byte>)>;

    enum class Progress : std::uint8_t {
        finished,  ///< nothing left
        blocked,   ///< the client must read first
        more,      ///< others' turn, then call again
        gone,
    };

    /// Linux: a dump's buffer is what the client last offered, at least NLMSG_GOODSIZE; 4096 is
    /// what libnl offers and old Go clients can take.
    static constexpr std::size_t datagram_size = 4096;
    static constexpr std::size_t datagrams_per_turn = 16;
    /// Answers without reading them: beyond this many bytes they are lost.
    static constexpr std::size_t max_backlog = 1 << 20;

    /// False if the answer was dropped: as the kernel does when the client's buffer is full of
    /// answers it does not read, later than the kernel does.
    bool add(Answer answer);

    bool dump_running() const noexcept { return dump_ != nullptr; }

    Progress advance(const Send& send);

private:
    bool refill();

    std::deque<Datagram> waiting_;
    std::size_t backlog_ = 0;
    std::unique_ptr<Dump> dump_;
};

}  // namespace nlvs::shim
