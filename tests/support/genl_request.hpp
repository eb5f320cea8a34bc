#pragma once

#include "compat/net/bytes.hpp"
#include "netlink-shim/endpoint/message_handler.hpp"
#include "tests/support/hex.hpp"

#include <cstdint>
#include <string>

#include <linux/genetlink.h>
#include <linux/ip_vs.h>

namespace nlvs::test {

// Requests to the IPVS family, built from hex digits.

inline constexpr std::uint16_t family_id = 0x25;
inline constexpr std::uint16_t request = NLM_F_REQUEST;
inline constexpr std::uint16_t with_ack = NLM_F_REQUEST | NLM_F_ACK;
inline constexpr std::uint16_t with_dump = NLM_F_REQUEST | NLM_F_ACK | NLM_F_DUMP;

/// A message of our family with `attributes` as hex digits.
inline shim::Datagram message(
    std::uint8_t command,
    std::uint16_t flags,
    const std::string& attributes = "",
    std::uint16_t type = family_id
) {
    shim::Datagram bytes(sizeof(nlmsghdr) + sizeof(genlmsghdr));
    net::store(
        bytes.data() + sizeof(nlmsghdr),
        genlmsghdr{.cmd = command, .version = IPVS_GENL_VERSION, .reserved = 0}
    );
    const auto rest = hex(attributes);
    bytes.insert(bytes.end(), rest.begin(), rest.end());
    net::store(
        bytes.data(),
        nlmsghdr{
            .nlmsg_len = static_cast<std::uint32_t>(bytes.size()),
            .nlmsg_type = type,
            .nlmsg_flags = flags,
            .nlmsg_seq = 3,
            .nlmsg_pid = 0x1234,
        }
    );
    return bytes;
}

/// One nested attribute, as digits.
inline std::string nest(int type, const std::string& attributes) {
    const auto size = hex(attributes).size() + 4;
    std::string text = to_hex(net::as_bytes_of(static_cast<std::uint16_t>(size)));
    text += to_hex(net::as_bytes_of(static_cast<std::uint16_t>(type)));
    return text + attributes;
}

/// What identifies TCP 10.0.0.1:80 and TCP 10.0.0.2:80.
inline const std::string key =
    "06000100 02000000 06000200 06000000 14000300 0a000001 00000000 00000000 00000000 "
    "06000400 00500000 ";
inline const std::string other_key =
    "06000100 02000000 06000200 06000000 14000300 0a000002 00000000 00000000 00000000 "
    "06000400 00500000 ";

}  // namespace nlvs::test
