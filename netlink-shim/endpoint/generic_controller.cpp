#include "netlink-shim/endpoint/generic_controller.hpp"

#include "compat/ipvs_genl/operations.hpp"
#include "compat/netlink/builder.hpp"
#include "compat/netlink/policy.hpp"
#include "netlink-shim/endpoint/policy_listing.hpp"
#include "netlink-shim/endpoint/refusal.hpp"

#include <array>
#include <utility>

namespace nlvs::shim {

namespace {

using ipvs::Error;
using netlink::Kind;
using netlink::ReplyBuilder;

/// Linux: genetlink.c ctrl_policy_family.
constexpr netlink::Policy<CTRL_ATTR_FAMILY_NAME> family_policy{
    {CTRL_ATTR_FAMILY_ID, Kind::u16},
    {CTRL_ATTR_FAMILY_NAME, Kind::string, GENL_NAMSIZ - 1},
};

/// Linux: genetlink.c ctrl_policy_policy.
constexpr netlink::Policy<CTRL_ATTR_OP> policy_policy{
    {CTRL_ATTR_FAMILY_ID, Kind::u16},
    {CTRL_ATTR_FAMILY_NAME, Kind::string, GENL_NAMSIZ - 1},
    {CTRL_ATTR_OP, Kind::u32},
};

constexpr std::array<netlink::Operation, 2> controller_operations{{
    {CTRL_CMD_GETFAMILY, GENL_CMD_CAP_DO | GENL_CMD_CAP_DUMP | GENL_CMD_CAP_HASPOL},
    {CTRL_CMD_GETPOLICY, GENL_CMD_CAP_DUMP | GENL_CMD_CAP_HASPOL},
}};
constexpr std::uint8_t first_strict_command = CTRL_CMD_GETPOLICY + 1;
constexpr std::uint8_t controller_version = 2;

/// Linux: genetlink.c ctrl_fill_info.
Datagram describe_family(std::uint16_t family_id, std::uint16_t flags, const netlink::ReplyTo& to) {
    Datagram datagram;
    {
        ReplyBuilder reply{datagram, GENL_ID_CTRL, flags, to};
        reply.put_generic_header(CTRL_CMD_NEWFAMILY, controller_version);
        reply.put_text(CTRL_ATTR_FAMILY_NAME, IPVS_GENL_NAME);
        reply.put<std::uint16_t>(CTRL_ATTR_FAMILY_ID, family_id);
        reply.put<std::uint32_t>(CTRL_ATTR_VERSION, IPVS_GENL_VERSION);
        reply.put<std::uint32_t>(CTRL_ATTR_HDRSIZE, 0);
        reply.put<std::uint32_t>(CTRL_ATTR_MAXATTR, IPVS_CMD_ATTR_MAX);
        const auto operations = reply.nest(CTRL_ATTR_OPS);
        std::uint16_t index = 0;
        for (const netlink::Operation& operation : ipvs_genl::operations) {
            const auto entry = reply.nest(++index);
            reply.put<std::uint32_t>(CTRL_ATTR_OP_ID, operation.command);
            reply.put<std::uint32_t>(CTRL_ATTR_OP_FLAGS, operation.flags);
        }
    }
    return datagram;
}

class FamilyDump final : public Dump {
public:
    FamilyDump(std::uint16_t family_id, const netlink::ReplyTo& to)
        : family_id_{family_id}, to_{to} {}

    Datagram next(std::size_t) override {
        if (std::exchange(shown_, true)) return {};
        return describe_family(family_id_, NLM_F_MULTI, to_);
    }

    Datagram done() override { return netlink::make_done(to_); }

private:
    std::uint16_t family_id_;
    netlink::ReplyTo to_;
    bool shown_ = false;
};

/// Which family is asked for; the name wins over the id.
template <std::size_t max>
ipvs::Result<void> name_family(
    const netlink::Attributes<max>& attributes, std::uint16_t family_id
) {
    bool ours = false;
    if (const auto& name = attributes[CTRL_ATTR_FAMILY_NAME]) {
        ours = name->text() == IPVS_GENL_NAME;
    } else if (const auto& id = attributes[CTRL_ATTR_FAMILY_ID]) {
        ours = id->template value<std::uint16_t>() == family_id;
    } else {
        return std::unexpected{Error::invalid_argument};
    }
    if (!ours) return std::unexpected{Error::unknown_message_type};
    return {};
}

/// Linux: genetlink.c ctrl_dumppolicy_start.
ipvs::Result<std::unique_ptr<Dump>> list_policies(
    const netlink::MessageView& message,
    std::uint16_t family_id,
    const netlink::ReplyTo& to,
    netlink::ExtendedAck& said
) {
    const auto attributes = netlink::Attributes<CTRL_ATTR_OP>::parse(
        message.attributes(), policy_policy, &said, netlink::Rules::strict
    );
    if (!attributes) return std::unexpected{to_error(attributes.error())};
    const auto ours = name_family(*attributes, family_id);
    if (!ours) return std::unexpected{ours.error()};
    const auto& wanted = (*attributes)[CTRL_ATTR_OP];
    if (!wanted) return std::make_unique<PolicyListing>(family_id, std::nullopt, to);
    const auto number = wanted->value<std::uint32_t>();
    for (const netlink::Operation& operation : ipvs_genl::operations) {
        if (operation.command != number) continue;
        return std::make_unique<PolicyListing>(family_id, operation.command, to);
    }
    return std::unexpected{Error::unknown_message_type};
}

}  // namespace

ipvs::Result<Answer> GenericController::handle(
    const netlink::MessageView& message, const Client& client, netlink::ExtendedAck& said
) const {
    const auto command = netlink::select_operation(
        message, controller_operations, first_strict_command, client.privileged, &said
    );
    if (!command) return std::unexpected{to_error(command.error())};

    const netlink::ReplyTo to{message.header().nlmsg_seq, client.port};
    Answer answer;
    if (message.wants_dump()) {
        if (client.dump_running) return std::unexpected{Error::busy};
        if (*command == CTRL_CMD_GETPOLICY) {
            auto listing = list_policies(message, family_id_, to, said);
            if (!listing) return std::unexpected{listing.error()};
            answer.dump = std::move(*listing);
            return answer;
        }
        answer.dump = std::make_unique<FamilyDump>(family_id_, to);
        return answer;
    }
    const auto attributes = netlink::Attributes<CTRL_ATTR_FAMILY_NAME>::parse(
        message.attributes(), family_policy, &said
    );
    if (!attributes) return std::unexpected{to_error(attributes.error())};
    const auto ours = name_family(*attributes, family_id_);
    if (!ours) return std::unexpected{ours.error()};
    answer.datagrams.push_back(describe_family(family_id_, 0, to));
    return answer;
}

}  // namespace nlvs::shim
