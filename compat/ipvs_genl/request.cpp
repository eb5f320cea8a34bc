#include "compat/ipvs_genl/request.hpp"

#include <netinet/in.h>

namespace nlvs::ipvs_genl {

namespace {

using ipvs::Error;
using ipvs::Result;
using netlink::Attributes;
using netlink::AttributeView;

/// Any failure of a nested policy is EINVAL, whatever the reason.
template <std::size_t max>
Result<Attributes<max>> decode_nest(
    const Nest& nest, const Policy<max>& policy, netlink::ExtendedAck* said = nullptr
) {
    if (!nest) return std::unexpected{Error::invalid_argument};
    auto attributes = Attributes<max>::parse(nest->payload(), policy, said);
    if (!attributes) return std::unexpected{Error::invalid_argument};
    return *attributes;
}

std::optional<ipvs::Family> decode_family(std::uint16_t number) {
    switch (number) {
        case AF_INET:
            return ipvs::Family::inet;
        case AF_INET6:
            return ipvs::Family::inet6;
        default:
            return std::nullopt;
    }
}

ipvs::IpAddress decode_address(const AttributeView& attribute, ipvs::Family family) {
    if (family == ipvs::Family::inet) return net::Ipv4Address{attribute.value<net::Be32>()};
    return net::Ipv6Address{attribute.value<net::Ipv6Address::Bytes>()};
}

using ServiceAttributes = Attributes<IPVS_SVC_ATTR_MAX>;
using DestinationAttributes = Attributes<IPVS_DEST_ATTR_MAX>;

Result<ipvs::ServiceKey> service_key(const ServiceAttributes& attributes) {
    const bool by_endpoint =
        attributes.has({IPVS_SVC_ATTR_PROTOCOL, IPVS_SVC_ATTR_ADDR, IPVS_SVC_ATTR_PORT});
    const auto& mark_attribute = attributes[IPVS_SVC_ATTR_FWMARK];
    if (!attributes[IPVS_SVC_ATTR_AF] || !(mark_attribute || by_endpoint)) {
        return std::unexpected{Error::invalid_argument};
    }
    const auto family = decode_family(attributes[IPVS_SVC_ATTR_AF]->value<std::uint16_t>());
    if (!family) return std::unexpected{Error::address_family_not_supported};

    if (mark_attribute) {
        const auto mark = mark_attribute->value<std::uint32_t>();
        if (mark != 0) return ipvs::FirewallMarkKey{*family, mark};
        // A mark of 0 names the endpoint that the zeroed record then holds.
        const net::IpAddress any = *family == ipvs::Family::inet
                                       ? net::IpAddress{net::Ipv4Address{}}
                                       : net::IpAddress{net::Ipv6Address{}};
        return ipvs::EndpointKey{IPPROTO_TCP, any, ipvs::Port{}};
    }
    return ipvs::EndpointKey{
        attributes[IPVS_SVC_ATTR_PROTOCOL]->value<std::uint16_t>(),
        decode_address(*attributes[IPVS_SVC_ATTR_ADDR], *family),
        ipvs::Port{attributes[IPVS_SVC_ATTR_PORT]->value<net::Be16>()},
    };
}

Result<ipvs::DestinationKey> destination_key(
    const DestinationAttributes& attributes, ipvs::Family service_family
) {
    const auto number = attributes.value_or<std::uint16_t>(IPVS_DEST_ATTR_ADDR_FAMILY, 0);
    const auto family = number == 0 ? service_family : decode_family(number);
    if (!family) return std::unexpected{Error::address_family_not_supported};
    return ipvs::DestinationKey{
        decode_address(*attributes[IPVS_DEST_ATTR_ADDR], *family),
        ipvs::Port{attributes[IPVS_DEST_ATTR_PORT]->value<net::Be16>()},
    };
}

}  // namespace

Result<Command> decode_command(netlink::Bytes attributes, netlink::ExtendedAck* said) {
    auto command = Command::parse(attributes, command_policy, said);
    if (command) return *command;
    return std::unexpected{
        command.error() == netlink::Malformed::out_of_range ? Error::out_of_range
                                                            : Error::invalid_argument};
}

Result<ipvs::ServiceKey> decode_service_key(const Nest& service) {
    const auto attributes = decode_nest(service, service_policy);
    if (!attributes) return std::unexpected{attributes.error()};
    return service_key(*attributes);
}

Result<ServiceRequest> decode_service(const Nest& service) {
    const auto attributes = decode_nest(service, service_policy);
    if (!attributes) return std::unexpected{attributes.error()};
    const auto key = service_key(*attributes);
    if (!key) return std::unexpected{key.error()};
    if (!attributes->has({
            IPVS_SVC_ATTR_SCHED_NAME,
            IPVS_SVC_ATTR_FLAGS,
            IPVS_SVC_ATTR_TIMEOUT,
            IPVS_SVC_ATTR_NETMASK,
        })) {
        return std::unexpected{Error::invalid_argument};
    }
    const auto flags = (*attributes)[IPVS_SVC_ATTR_FLAGS]->value<ip_vs_flags>();
    const auto& persistence_engine = (*attributes)[IPVS_SVC_ATTR_PE_NAME];
    return ServiceRequest{
        *key,
        ipvs::ServiceSpec{
            .scheduler = (*attributes)[IPVS_SVC_ATTR_SCHED_NAME]->text(),
            .persistence_engine = persistence_engine ? persistence_engine->text() : std::string{},
            .flags = {flags.flags},
            .flags_mask = flags.mask,
            .timeout = (*attributes)[IPVS_SVC_ATTR_TIMEOUT]->value<std::uint32_t>(),
            .netmask = (*attributes)[IPVS_SVC_ATTR_NETMASK]->value<std::uint32_t>(),
        },
    };
}

Result<ipvs::DestinationKey> decode_destination_key(
    const Nest& destination, ipvs::Family service_family
) {
    const auto attributes = decode_nest(destination, destination_policy);
    if (!attributes) return std::unexpected{attributes.error()};
    if (!attributes->has({IPVS_DEST_ATTR_ADDR, IPVS_DEST_ATTR_PORT})) {
        return std::unexpected{Error::invalid_argument};
    }
    return destination_key(*attributes, service_family);
}

Result<ipvs::DestinationSpec> decode_destination(
    const Nest& destination, ipvs::Family service_family
) {
    const auto attributes = decode_nest(destination, destination_policy);
    if (!attributes) return std::unexpected{attributes.error()};
    if (!attributes->has({
            IPVS_DEST_ATTR_ADDR,
            IPVS_DEST_ATTR_PORT,
            IPVS_DEST_ATTR_FWD_METHOD,
            IPVS_DEST_ATTR_WEIGHT,
            IPVS_DEST_ATTR_U_THRESH,
            IPVS_DEST_ATTR_L_THRESH,
        })) {
        return std::unexpected{Error::invalid_argument};
    }
    const auto key = destination_key(*attributes, service_family);
    if (!key) return std::unexpected{key.error()};
    const auto word = [&](std::size_t id) { return (*attributes)[id]->value<std::uint32_t>(); };
    return ipvs::DestinationSpec{
        .key = *key,
        .forwarding = word(IPVS_DEST_ATTR_FWD_METHOD) & IP_VS_CONN_F_FWD_MASK,
        .weight = static_cast<std::int32_t>(word(IPVS_DEST_ATTR_WEIGHT)),
        .upper_threshold = word(IPVS_DEST_ATTR_U_THRESH),
        .lower_threshold = word(IPVS_DEST_ATTR_L_THRESH),
        .tunnel =
            {
                .type = static_cast<ipvs::TunnelType>(
                    attributes->value_or<std::uint8_t>(IPVS_DEST_ATTR_TUN_TYPE, 0)
                ),
                .port = ipvs::Port{attributes->value_or<net::Be16>(IPVS_DEST_ATTR_TUN_PORT, {})},
                .flags = attributes->value_or<std::uint16_t>(IPVS_DEST_ATTR_TUN_FLAGS, 0),
            },
    };
}

Result<ipvs::SyncDaemonConfig> decode_daemon(const Nest& daemon, netlink::ExtendedAck* said) {
    const auto attributes = decode_nest(daemon, daemon_policy, said);
    if (!attributes) return std::unexpected{attributes.error()};
    if (!attributes->has(
            {IPVS_DAEMON_ATTR_STATE, IPVS_DAEMON_ATTR_MCAST_IFN, IPVS_DAEMON_ATTR_SYNC_ID}
        )) {
        return std::unexpected{Error::invalid_argument};
    }
    ipvs::SyncDaemonConfig config{
        .state = (*attributes)[IPVS_DAEMON_ATTR_STATE]->value<std::uint32_t>(),
        .interface = (*attributes)[IPVS_DAEMON_ATTR_MCAST_IFN]->text(),
        .sync_id = (*attributes)[IPVS_DAEMON_ATTR_SYNC_ID]->value<std::uint32_t>(),
        .max_length = attributes->value_or<std::uint16_t>(IPVS_DAEMON_ATTR_SYNC_MAXLEN, 0),
        .group = {},
        .port = attributes->value_or<std::uint16_t>(IPVS_DAEMON_ATTR_MCAST_PORT, 0),
        .ttl = attributes->value_or<std::uint8_t>(IPVS_DAEMON_ATTR_MCAST_TTL, 0),
    };
    // An IPv4 group wins over an IPv6 one; a group that is given must be multicast, so 0.0.0.0
    // in the result always means "not given".
    if (const auto& group = (*attributes)[IPVS_DAEMON_ATTR_MCAST_GROUP]) {
        config.group = decode_address(*group, ipvs::Family::inet);
        if ((config.group.bytes()[0] & 0xF0) != 0xE0) {
            return std::unexpected{Error::invalid_argument};
        }
    } else if (const auto& group6 = (*attributes)[IPVS_DAEMON_ATTR_MCAST_GROUP6]) {
        config.group = decode_address(*group6, ipvs::Family::inet6);
        if (config.group.bytes()[0] != 0xFF) return std::unexpected{Error::invalid_argument};
    }
    return config;
}

Result<std::uint32_t> decode_daemon_state(const Nest& daemon, netlink::ExtendedAck* said) {
    const auto attributes = decode_nest(daemon, daemon_policy, said);
    if (!attributes) return std::unexpected{attributes.error()};
    if (const auto& state = (*attributes)[IPVS_DAEMON_ATTR_STATE]) {
        return state->value<std::uint32_t>();
    }
    return std::unexpected{Error::invalid_argument};
}

ipvs::Timeouts decode_timeouts(const Command& command) {
    return {
        .tcp = command.value_or<std::uint32_t>(IPVS_CMD_ATTR_TIMEOUT_TCP, 0),
        .tcp_fin = command.value_or<std::uint32_t>(IPVS_CMD_ATTR_TIMEOUT_TCP_FIN, 0),
        .udp = command.value_or<std::uint32_t>(IPVS_CMD_ATTR_TIMEOUT_UDP, 0),
    };
}

}  // namespace nlvs::ipvs_genl
