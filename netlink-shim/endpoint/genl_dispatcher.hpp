#pragma once

#include "compat/ipvs/control.hpp"
#include "compat/ipvs_genl/request.hpp"
#include "compat/netlink/builder.hpp"
#include "compat/netlink/message.hpp"
#include "netlink-shim/endpoint/generic_controller.hpp"
#include "netlink-shim/endpoint/message_handler.hpp"

#include <cstdint>

namespace nlvs::shim {

/// The IPVS generic netlink family over ipvs::Control: decodes a message, performs it, renders
/// the outcome as the kernel does. Reply and acknowledgement are datagrams of their own; a dump
/// is answered by a Dump and never acknowledged.
/// Thread: control. The Control outlives the dispatcher and every dump it returned.
class GenlDispatcher final : public MessageHandler {
public:
    GenlDispatcher(ipvs::Control& control, std::uint16_t family_id) noexcept
        : control_{control}, family_id_{family_id}, controller_{family_id} {}

    Answer handle(std::span<const std::byte> bytes, const Client& client) override;

private:
    ipvs::Result<Answer> route(
        const netlink::MessageView& message, const Client& client, netlink::ExtendedAck& said
    );
    ipvs::Result<Answer> execute(
        const netlink::MessageView& message, const Client& client, netlink::ExtendedAck& said
    );
    ipvs::Result<Datagram> reply(
        std::uint8_t command, const ipvs_genl::Command& request, const netlink::ReplyTo& to
    ) const;
    std::unique_ptr<Dump> dump(
        std::uint8_t command, const netlink::MessageView& message, const Client& client
    ) const;

    ipvs::Result<void> change(
        std::uint8_t command, const ipvs_genl::Command& request, netlink::ExtendedAck& said
    );
    ipvs::Result<void> change_destination(std::uint8_t command, const ipvs_genl::Command& request);

    ipvs::Control& control_;
    std::uint16_t family_id_;
    GenericController controller_;
};

}  // namespace nlvs::shim
