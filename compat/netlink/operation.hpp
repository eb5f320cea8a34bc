#pragma once

#include "compat/netlink/message.hpp"
#include "compat/netlink/policy.hpp"

#include <cstdint>
#include <expected>
#include <span>

namespace nlvs::netlink {

/// One command of a generic netlink family and its GENL_* flags: who may, do, dump.
struct Operation {
    std::uint8_t command;
    std::uint32_t flags;
};

/// Why a message reaches no operation.
enum class Refusal : std::uint8_t { invalid, not_supported, not_permitted };

/// The checks before a command's own, in the kernel's order: length, reserved bits (from
/// `first_strict_command` on), existence, privilege, mode. Yields the command.
/// Linux: genetlink.c genl_family_rcv_msg, genl_header_check.
std::expected<std::uint8_t, Refusal> select_operation(
    const MessageView& message,
    std::span<const Operation> operations,
    std::uint8_t first_strict_command,
    bool privileged,
    ExtendedAck* said = nullptr
) noexcept;

}  // namespace nlvs::netlink
