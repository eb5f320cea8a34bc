#include "netlink-shim/endpoint/genl_dispatcher.hpp"

#include "compat/ipvs_genl/operations.hpp"
#include "compat/ipvs_genl/reply.hpp"
#include "netlink-shim/endpoint/listing.hpp"
#include "netlink-shim/endpoint/refusal.hpp"

#include <memory>
#include <utility>

namespace nlvs::shim {

using ipvs::Error;
using ipvs::Result;
using netlink::MessageView;

// Linux: af_netlink.c netlink_rcv_skb — what is no request, or a control message, is not
// executed, only acknowledged. The family id is not looked at, which is why the type-0 GET_INFO of
// keepalived 2.3.2 works.
Answer GenlDispatcher::handle(std::span<const std::byte> bytes, const Client& client) {
    const auto message = MessageView::parse(bytes);
    if (!message) return {};

    Answer answer;
    netlink::ExtendedAck said;
    if (message->is_request() && message->type() >= NLMSG_MIN_TYPE) {
        auto outcome = route(*message, client, said);
        if (!outcome) {
            const int error = ipvs::to_errno(outcome.error(), ipvs::Door::netlink);
            answer.datagrams.push_back(
                netlink::make_error(*message, client.port, error, client.options, said)
            );
            return answer;
        }
        answer = std::move(*outcome);
    }
    if (message->wants_ack() && !answer.dump) {
        answer.datagrams.push_back(netlink::make_ack(*message, client.port, client.options, said));
    }
    return answer;
}

Result<Answer> GenlDispatcher::route(
    const MessageView& message, const Client& client, netlink::ExtendedAck& said
) {
    if (message.type() == GENL_ID_CTRL) return controller_.handle(message, client, said);
    if (message.type() == family_id_) return execute(message, client, said);
    return std::unexpected{Error::unknown_message_type};
}

Result<Answer> GenlDispatcher::execute(
    const MessageView& message, const Client& client, netlink::ExtendedAck& said
) {
    const auto command = netlink::select_operation(
        message, ipvs_genl::operations, ipvs_genl::first_strict_command, client.privileged, &said
    );
    if (!command) return std::unexpected{to_error(command.error())};

    const netlink::ReplyTo to{message.header().nlmsg_seq, client.port};
    Answer answer;
    if (message.wants_dump()) {
        if (client.dump_running) return std::unexpected{Error::busy};
        answer.dump = dump(*command, message, client);
        return answer;
    }
    const auto request = ipvs_genl::decode_command(message.attributes(), &said);
    if (!request) return std::unexpected{request.error()};
    switch (*command) {
        case IPVS_CMD_GET_SERVICE:
        case IPVS_CMD_GET_CONFIG:
        case IPVS_CMD_GET_INFO: {
            auto datagram = reply(*command, *request, to);
            if (!datagram) return std::unexpected{datagram.error()};
            answer.datagrams.push_back(std::move(*datagram));
            return answer;
        }
        default: {
            const auto done = change(*command, *request, said);
            if (!done) return std::unexpected{done.error()};
            return answer;
        }
    }
}

// Linux: ip_vs_ctl.c ip_vs_genl_get_cmd.
Result<Datagram> GenlDispatcher::reply(
    std::uint8_t command, const ipvs_genl::Command& request, const netlink::ReplyTo& to
) const {
    const ipvs_genl::ReplyContext context{.family_id = family_id_, .flags = 0, .to = to};
    Datagram datagram;
    if (command == IPVS_CMD_GET_CONFIG) {
        ipvs_genl::append_timeouts(datagram, context, control_.timeouts());
        return datagram;
    }
    if (command == IPVS_CMD_GET_INFO) {
        ipvs_genl::append_information(datagram, context, control_.information());
        return datagram;
    }
    const auto key = ipvs_genl::decode_service_key(request[IPVS_CMD_ATTR_SERVICE]);
    if (!key) return std::unexpected{key.error()};
    const auto service = control_.find_service(*key);
    if (!service) return std::unexpected{service.error()};
    ipvs_genl::append_service(datagram, context, *service);
    return datagram;
}

// Linux: ip_vs_ctl.c ip_vs_genl_dump_services, _dests, _daemons. Attributes are looked at by
// GET_DEST alone, and whatever is wrong with them makes its listing empty.
std::unique_ptr<Dump> GenlDispatcher::dump(
    std::uint8_t command, const MessageView& message, const Client& client
) const {
    const netlink::ReplyTo to{message.header().nlmsg_seq, client.port};
    const ipvs_genl::ReplyContext context{.family_id = family_id_, .flags = NLM_F_MULTI, .to = to};
    if (command == IPVS_CMD_GET_SERVICE) return std::make_unique<ServiceDump>(control_, context);
    if (command == IPVS_CMD_GET_DAEMON) return std::make_unique<DaemonDump>(control_, context);

    std::optional<ipvs::ServiceKey> service;
    netlink::ExtendedAck said;
    if (const auto request = ipvs_genl::decode_command(message.attributes(), &said)) {
        const auto key = ipvs_genl::decode_service_key((*request)[IPVS_CMD_ATTR_SERVICE]);
        if (key) service = *key;
    }
    if (!client.options.extended) said = {};
    return std::make_unique<DestinationDump>(control_, context, std::move(service), said.text);
}

// Linux: ip_vs_ctl.c ip_vs_genl_set_cmd, ip_vs_genl_set_daemon.
Result<void> GenlDispatcher::change(
    std::uint8_t command, const ipvs_genl::Command& request, netlink::ExtendedAck& said
) {
    const auto& service = request[IPVS_CMD_ATTR_SERVICE];
    switch (command) {
        case IPVS_CMD_NEW_SERVICE:
        case IPVS_CMD_SET_SERVICE: {
            const auto full = ipvs_genl::decode_service(service);
            if (!full) return std::unexpected{full.error()};
            return command == IPVS_CMD_NEW_SERVICE ? control_.add_service(full->key, full->spec)
                                                   : control_.edit_service(full->key, full->spec);
        }
        case IPVS_CMD_DEL_SERVICE: {
            const auto key = ipvs_genl::decode_service_key(service);
            if (!key) return std::unexpected{key.error()};
            return control_.remove_service(*key);
        }
        case IPVS_CMD_ZERO: {
            if (!service) return control_.zero(std::nullopt);
            const auto key = ipvs_genl::decode_service_key(service);
            if (!key) return std::unexpected{key.error()};
            return control_.zero(*key);
        }
        case IPVS_CMD_FLUSH:
            control_.flush();
            return {};
        case IPVS_CMD_SET_CONFIG:
            return control_.set_timeouts(ipvs_genl::decode_timeouts(request));
        case IPVS_CMD_NEW_DAEMON: {
            const auto daemon = ipvs_genl::decode_daemon(request[IPVS_CMD_ATTR_DAEMON], &said);
            if (!daemon) return std::unexpected{daemon.error()};
            if (control_.mixes_families()) return std::unexpected{Error::invalid_argument};
            return control_.start_daemon(*daemon);
        }
        case IPVS_CMD_DEL_DAEMON: {
            const auto state = ipvs_genl::decode_daemon_state(request[IPVS_CMD_ATTR_DAEMON], &said);
            if (!state) return std::unexpected{state.error()};
            return control_.stop_daemon(*state);
        }
        default:
            return change_destination(command, request);
    }
}

// The service is looked up before the destination is parsed: ESRCH comes before EINVAL.
Result<void> GenlDispatcher::change_destination(
    std::uint8_t command, const ipvs_genl::Command& request
) {
    const auto service = ipvs_genl::decode_service_key(request[IPVS_CMD_ATTR_SERVICE]);
    if (!service) return std::unexpected{service.error()};
    if (!control_.has_service(*service)) return std::unexpected{Error::no_such_service};

    const auto& nest = request[IPVS_CMD_ATTR_DEST];
    const ipvs::Family family = ipvs::family_of(*service);
    if (command == IPVS_CMD_DEL_DEST) {
        const auto key = ipvs_genl::decode_destination_key(nest, family);
        if (!key) return std::unexpected{key.error()};
        return control_.remove_destination(*service, *key);
    }
    const auto destination = ipvs_genl::decode_destination(nest, family);
    if (!destination) return std::unexpected{destination.error()};
    return command == IPVS_CMD_NEW_DEST ? control_.add_destination(*service, *destination)
                                        : control_.edit_destination(*service, *destination);
}

}  // namespace nlvs::shim
