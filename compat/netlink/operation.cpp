#include "compat/netlink/operation.hpp"

#include <algorithm>

namespace nlvs::netlink {

namespace {

/// What is wrong with the bits that are reserved; empty if nothing is.
std::string_view reserved_bits(const MessageView& message, const genlmsghdr& header) noexcept {
    if (header.reserved != 0) return "genlmsghdr.reserved field is not 0";
    unsigned flags = message.header().nlmsg_flags;
    if (message.wants_dump()) flags &= ~unsigned{NLM_F_DUMP};
    const bool known = (flags & ~unsigned{NLM_F_REQUEST | NLM_F_ACK | NLM_F_ECHO}) == 0;
    return known ? "" : "ambiguous or reserved bits set in nlmsg_flags";
}

}  // namespace

std::expected<std::uint8_t, Refusal> select_operation(
    const MessageView& message,
    std::span<const Operation> operations,
    std::uint8_t first_strict_command,
    bool privileged,
    ExtendedAck* said
) noexcept {
    const auto header = message.generic_header();
    if (!header) return std::unexpected{Refusal::invalid};
    if (header->cmd >= first_strict_command) {
        const std::string_view wrong = reserved_bits(message, *header);
        if (said != nullptr) said->text = wrong;
        if (!wrong.empty()) return std::unexpected{Refusal::invalid};
    }
    const auto found = std::ranges::find(operations, header->cmd, &Operation::command);
    if (found == operations.end()) return std::unexpected{Refusal::not_supported};
    if ((found->flags & GENL_ADMIN_PERM) != 0 && !privileged) {
        return std::unexpected{Refusal::not_permitted};
    }
    const unsigned mode = message.wants_dump() ? GENL_CMD_CAP_DUMP : GENL_CMD_CAP_DO;
    if ((found->flags & mode) == 0) return std::unexpected{Refusal::not_supported};
    return header->cmd;
}

}  // namespace nlvs::netlink
