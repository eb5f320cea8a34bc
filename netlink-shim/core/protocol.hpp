#pragma once

// Theory of operation. A client keeps its real AF_NETLINK/NETLINK_GENERIC socket and the daemon
// owns another one in the same network namespace. A front end (preload library, launcher) changes
// the destination port of messages for the family from 0 (kernel) to the daemon's, and the sender
// port of what comes back from the daemon's to 0. The kernel delivers between user sockets only
// for CAP_NET_ADMIN: the permission the IPVS family asks for. What follows is all that front ends
// and daemon must agree on.

#include <cstddef>
#include <cstdint>

namespace nlvs::shim {

/// Linux: net/genetlink.h GENL_MAX_ID is 1023, so the kernel never hands out this id; a message
/// that reaches the kernel by mistake is ENOENT there, never a command to its own ip_vs.
inline constexpr std::uint16_t ipvs_family_id = 0x4956;

/// The get/setsockopt interface travels as one private message type to the daemon's port, so the
/// kernel checks the caller's CAP_NET_ADMIN as it does for the family.
inline constexpr std::uint16_t sockopt_message_type = 0x4957;

/// The kernel has answered before a send call returns, and makes the next part of a dump before
/// a receive call does; clients that do not wait rely on it. So before such a client is told
/// EAGAIN, a front end asks the daemon: the payload is the client's port id (u32), and the
/// answer, a bare header, leaves after everything that this client can be given now.
inline constexpr std::uint16_t flush_message_type = 0x4958;

/// Options of the client's socket change what errors look like, and only a front end sees them: if
/// one is set, this message comes first in the datagram. Its payload is a word (u32) of these bits.
inline constexpr std::uint16_t options_message_type = 0x4959;
inline constexpr std::uint32_t option_cap_ack = 1;  ///< NETLINK_CAP_ACK
inline constexpr std::uint32_t option_ext_ack = 2;  ///< NETLINK_EXT_ACK

inline constexpr char ipvs_family_name[] = "IPVS";

/// Where daemons register: <run directory>/<network namespace inode>/registration.
inline constexpr char default_run_directory[] = "/run/nlvs";
inline constexpr char run_directory_variable[] = "NLVS_RUN_DIR";
inline constexpr char registration_file_name[] = "registration";

/// Linux: ip_vs_ctl.c MAX_SET_ARGLEN, MAX_GET_ARGLEN — the most that is read from the caller.
inline constexpr std::size_t max_sockopt_argument = 128;

/// Follows nlmsghdr in a request; then at most max_sockopt_argument bytes of the caller's buffer.
struct SockoptRequestHeader {
    std::uint32_t is_get;
    std::uint32_t option;
    std::uint32_t length;  ///< as the caller passed it
};

/// Follows nlmsghdr in each datagram of an answer; then the bytes at `offset` of the result.
/// The answer is complete when offset + bytes == total. error is a positive errno or 0.
struct SockoptReplyHeader {
    std::int32_t error;
    std::uint32_t total;
    std::uint32_t offset;
};

static_assert(sizeof(SockoptRequestHeader) == 12);
static_assert(sizeof(SockoptReplyHeader) == 12);

}  // namespace nlvs::shim
