#include "netlink-shim/endpoint/policy_listing.hpp"

#include "compat/ipvs_genl/attributes.hpp"
#include "compat/ipvs_genl/operations.hpp"

#include <linux/genetlink.h>

namespace nlvs::shim {

namespace {

using netlink::ReplyBuilder;

constexpr std::uint8_t controller_version = 2;
// The family has one policy at its top level, and the kernel knows none of its nests.
constexpr std::uint32_t only_policy = 0;

class Message : public ReplyBuilder {
public:
    Message(Datagram& datagram, std::uint16_t family_id, const netlink::ReplyTo& to)
        : ReplyBuilder{datagram, GENL_ID_CTRL, NLM_F_MULTI, to} {
        put_generic_header(CTRL_CMD_GETPOLICY, controller_version);
        put<std::uint16_t>(CTRL_ATTR_FAMILY_ID, family_id);
    }
};

}  // namespace

Datagram PolicyListing::next(std::size_t size) {
    Datagram datagram;
    for (;; ++index_) {
        const std::size_t before = datagram.size();
        if (!append(datagram, index_)) return datagram;
        if (before > 0 && datagram.size() > size) {
            datagram.resize(before);
            return datagram;
        }
    }
}

bool PolicyListing::append(Datagram& datagram, std::size_t index) const {
    if (index < ipvs_genl::operations.size()) {
        const netlink::Operation& operation = ipvs_genl::operations[index];
        if ((operation.flags & GENL_CMD_CAP_DO) == 0) return true;
        if (command_ && *command_ != operation.command) return true;
        Message message{datagram, family_id_, to_};
        const auto commands = message.nest(CTRL_ATTR_OP_POLICY | NLA_F_NESTED);
        const auto command = message.nest(operation.command | NLA_F_NESTED);
        message.put<std::uint32_t>(CTRL_ATTR_POLICY_DO, only_policy);
        return true;
    }
    const std::size_t attribute = index - ipvs_genl::operations.size() + 1;
    if (attribute > IPVS_CMD_ATTR_MAX) return false;
    Message message{datagram, family_id_, to_};
    const auto policies = message.nest(CTRL_ATTR_POLICY | NLA_F_NESTED);
    const auto policy = message.nest(only_policy | NLA_F_NESTED);
    const netlink::AttributeRule& rule = ipvs_genl::command_policy[attribute];
    netlink::put_rule(message, rule.id, rule);
    return true;
}

}  // namespace nlvs::shim
