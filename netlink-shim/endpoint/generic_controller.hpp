#pragma once

#include "compat/ipvs/error.hpp"
#include "compat/netlink/message.hpp"
#include "netlink-shim/endpoint/message_handler.hpp"

#include <cstdint>

namespace nlvs::shim {

/// Answers the controller family (nlctrl) as far as it concerns IPVS: GETFAMILY and GETPOLICY by name
/// or by our id, and in a list of all families our one entry. Anything else is unknown here (ENOENT); the kernel's
/// own controller answers for the other families.
/// Thread: control.
class GenericController {
public:
    explicit GenericController(std::uint16_t family_id) noexcept : family_id_{family_id} {}

    /// The answer to a message of type GENL_ID_CTRL, without its acknowledgement.
    /// Linux: genetlink.c ctrl_getfamily, ctrl_dumpfamily, ctrl_dumppolicy.
    ipvs::Result<Answer> handle(
        const netlink::MessageView& message, const Client& client, netlink::ExtendedAck& said
    ) const;

private:
    std::uint16_t family_id_;
};

}  // namespace nlvs::shim
