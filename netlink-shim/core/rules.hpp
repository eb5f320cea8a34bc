#pragma once

// The decisions of every front end: pure, total, no allocation, no I/O, usable in a signal
// handler and in a foreign process.

#include "netlink-shim/core/protocol.hpp"

#include <cstddef>
#include <cstdint>

#include <sys/uio.h>

namespace nlvs::shim {

/// The bytes of a send call, gathered or not, read by offset. The caller's memory is read once
/// per copy; a decision taken on it holds for the bytes as they were.
class ScatteredBytes {
public:
    ScatteredBytes(const iovec* parts, std::size_t count) noexcept;

    std::size_t size() const noexcept { return size_; }

    /// Copies up to `length` bytes at `offset`; returns how many there were.
    std::size_t copy(std::size_t offset, void* destination, std::size_t length) const noexcept;

    /// Writes parts that cover [offset, offset + length) to `parts`, which has room for
    /// `capacity`; returns how many, 0 if they do not fit.
    std::size_t slice(std::size_t offset, std::size_t length, iovec* parts, std::size_t capacity)
        const noexcept;

private:
    const iovec* parts_;
    std::size_t count_;
    std::size_t size_ = 0;
};

enum class Recipient : std::uint8_t {
    kernel,
    daemon,
    /// The list of all families: the daemon's answer is the kernel's plus ours, but the kernel's
    /// alone is good enough for a caller who may not talk to the daemon.
    daemon_preferred,
};

/// Who must receive the message at `offset`. Ours: messages of the family, get/setsockopt
/// messages, and controller requests that name the family by name or id or list all families.
/// Not ours although keepalived >= 2.3.2 sends them to IPVS: type 0 (the kernel acknowledges it
/// for every family) and type 0xfff4 (the kernel answers ENOENT). The answers wanted are the
/// kernel's own, so these stay with it and no other family can be disturbed.
Recipient recipient_of(const ScatteredBytes& bytes, std::size_t offset) noexcept;

/// Consecutive messages of one datagram with the same recipient. A message that no family can have
/// (a control message, a type beyond all families) goes along with one for the daemon before it:
/// the answer is the same from both, and only so it keeps its place.
struct Run {
    std::size_t length;
    Recipient recipient;
};

/// Linux: af_netlink.c netlink_rcv_skb — a length below the header's or beyond the rest ends the
/// datagram; what follows belongs to the last run.
Run next_run(const ScatteredBytes& bytes, std::size_t offset) noexcept;

/// IP_VS_SO_GET_* and IP_VS_SO_SET_* on IPPROTO_IP.
bool is_ipvs_socket_option(int level, int option) noexcept;

/// Whether getsockopt() tells how long the answer is. Linux: ip_vs_ctl.c do_ip_vs_get_ctl sets the
/// length for IP_VS_SO_GET_VERSION; with the others the caller keeps what it passed.
bool reports_length(int option) noexcept;

/// Where a path under /proc lives below the daemon's file system, whose root mirrors /proc:
/// "/proc/self/net/ip_vs" is "/net/ip_vs". Ours: ip_vs* in net, and sys/net/ipv4/vs with all
/// below it. Writes the NUL-terminated remainder; returns its length, 0 if the path is not ours
/// or does not fit. ".." is followed where no link can be in the way.
///
/// "/proc/PID/net/ip_vs" shows the network namespace of that process. It is ours for a caller who
/// wants to know the process: `process` is then its id, and 0 for every other path.
std::size_t daemon_path(
    const char* path, char* remainder, std::size_t capacity, std::uint32_t* process = nullptr
) noexcept;

/// A path that leaves our directory by "..", which the kernel may not have: "/proc/sys/net/ipv4/vs/.."
/// is "/proc/sys/net/ipv4". Writes the same place's other name; returns its length, 0 for other paths.
std::size_t way_out(const char* path, char* result, std::size_t capacity) noexcept;

}  // namespace nlvs::shim
