#pragma once

#include "compat/netlink/builder.hpp"
#include "netlink-shim/endpoint/message_handler.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace nlvs::shim {

/// nlctrl GETPOLICY: which policy each command of the IPVS family has, then that policy, attribute by
/// attribute, a message each. Commands that only dump have none, because their attributes are not
/// checked. Linux: genetlink.c ctrl_dumppolicy, net/netlink/policy.c.
/// Thread: control.
class PolicyListing final : public Dump {
public:
    /// Of all commands, or of `command` alone.
    PolicyListing(
        std::uint16_t family_id, std::optional<std::uint8_t> command, const netlink::ReplyTo& to
    )
        : family_id_{family_id}, command_{command}, to_{to} {}

    Datagram next(std::size_t size) override;

    Datagram done() override { return netlink::make_done(to_); }

private:
    /// Message number `index`; nothing is written if it has nothing to say. False after the last.
    bool append(Datagram& datagram, std::size_t index) const;

    std::uint16_t family_id_;
    std::optional<std::uint8_t> command_;
    netlink::ReplyTo to_;
    std::size_t index_ = 0;
};

}  // namespace nlvs::shim
