#include "netlink-shim/endpoint/sockopt_dispatcher.hpp"

#include "compat/ipvs_sockopt/codec.hpp"
#include "compat/net/bytes.hpp"
#include "compat/procfs/services_text.hpp"

#include <array>
#include <cerrno>
#include <optional>
#include <string>

namespace nlvs::shim {

namespace {

using ipvs::Error;
using ipvs::Result;
using OutputBytes = std::vector<std::byte>;

/// The argument lengths by option, counted from IP_VS_BASE_CTL: exact for set, least for get.
/// Linux: ip_vs_ctl.c set_arglen, get_arglen.
constexpr std::array<std::uint32_t, 16> set_lengths{
    0,                                            // NONE
    0,                                            // INSERT
    sizeof(ip_vs_service_user),                   // ADD
    sizeof(ip_vs_service_user),                   // EDIT
    sizeof(ip_vs_service_user),                   // DEL
    0,                                            // FLUSH
    0,                                            // LIST
    sizeof(ipvs_sockopt::ServiceAndDestination),  // ADDDEST
    sizeof(ipvs_sockopt::ServiceAndDestination),  // DELDEST
    sizeof(ipvs_sockopt::ServiceAndDestination),  // EDITDEST
    sizeof(ip_vs_timeout_user),                   // TIMEOUT
    sizeof(ip_vs_daemon_user),                    // STARTDAEMON
    sizeof(ip_vs_daemon_user),                    // STOPDAEMON
    0,                                            // RESTORE
    0,                                            // SAVE
    sizeof(ip_vs_service_user),                   // ZERO
};
constexpr std::array<std::uint32_t, 8> get_lengths{
    64,                             // VERSION
    sizeof(ip_vs_getinfo),          // INFO
    sizeof(ip_vs_get_services),     // SERVICES
    sizeof(ip_vs_service_entry),    // SERVICE
    sizeof(ip_vs_get_dests),        // DESTS
    0,                              // DEST
    sizeof(ip_vs_timeout_user),     // TIMEOUT
    2 * sizeof(ip_vs_daemon_user),  // DAEMON
};

template <class T>
void append(OutputBytes& output, const T& value) {
    const auto bytes = net::as_bytes_of(value);
    output.insert(output.end(), bytes.begin(), bytes.end());
}

template <class T>
OutputBytes bytes_of(const T& value) {
    OutputBytes output;
    append(output, value);
    return output;
}

SockoptResult failure(int error) {
    return {.error = error, .bytes = {}};
}

}  // namespace

SockoptResult SockoptDispatcher::handle(const SockoptCall& call) {
    const std::span<const std::uint32_t> lengths =
        call.is_get ? std::span<const std::uint32_t>{get_lengths} : set_lengths;
    // Linux: net/netfilter/nf_sockopt.c — no one registered for such a number.
    if (call.option < IP_VS_BASE_CTL || call.option - IP_VS_BASE_CTL >= lengths.size()) {
        return failure(ENOPROTOOPT);
    }
    const std::uint32_t length = lengths[call.option - IP_VS_BASE_CTL];
    const bool fits = call.is_get
                          ? call.length >= length && static_cast<std::int32_t>(call.length) >= 0
                          : call.length == length;
    if (!fits) return failure(EINVAL);
    if (call.argument.size() < length) return failure(EFAULT);

    if (call.is_get) {
        auto output = get(call);
        if (!output) return failure(ipvs::to_errno(output.error(), ipvs::Door::sockopt));
        return {.error = 0, .bytes = std::move(*output)};
    }
    const auto done = set(call.option, call.argument.first(length));
    return failure(done ? 0 : ipvs::to_errno(done.error(), ipvs::Door::sockopt));
}

Result<void> SockoptDispatcher::set(std::uint32_t option, Bytes argument) {
    switch (option) {
        case IP_VS_SO_SET_STARTDAEMON: {
            const auto daemon =
                ipvs_sockopt::decode_daemon(net::load<ip_vs_daemon_user>(argument.data()));
            if (!daemon) return std::unexpected{daemon.error()};
            return control_.start_daemon(*daemon);
        }
        case IP_VS_SO_SET_STOPDAEMON: {
            const auto daemon = net::load<ip_vs_daemon_user>(argument.data());
            return control_.stop_daemon(static_cast<std::uint32_t>(daemon.state));
        }
        case IP_VS_SO_SET_FLUSH:
            control_.flush();
            return {};
        case IP_VS_SO_SET_TIMEOUT:
            return control_.set_timeouts(
                ipvs_sockopt::decode_timeouts(net::load<ip_vs_timeout_user>(argument.data()))
            );
        default:
            if (argument.empty()) return std::unexpected{Error::invalid_argument};
            return set_service(option, argument);
    }
}

// Linux: ip_vs_ctl.c do_ip_vs_set_ctl — a service by mark is there only for commands with the
// protocol that it was added with, and a mark has one service, so that another cannot be added.
bool SockoptDispatcher::has_service(
    const ipvs::ServiceKey& key, const ip_vs_service_user& named
) const {
    if (std::holds_alternative<ipvs::EndpointKey>(key)) return control_.has_service(key);
    const auto service = control_.find_service(key);
    return service && service->spec.beside_mark.protocol == named.protocol;
}

Result<void> SockoptDispatcher::set_service(std::uint32_t option, Bytes argument) {
    const auto service = net::load<ip_vs_service_user>(argument.data());
    if (option == IP_VS_SO_SET_ZERO && ipvs_sockopt::names_nothing(service)) {
        return control_.zero(std::nullopt);
    }
    const bool full = option == IP_VS_SO_SET_ADD || option == IP_VS_SO_SET_EDIT;
    const auto spec = ipvs_sockopt::decode_service(service);
    if (full && !spec) return std::unexpected{spec.error()};
    if (!ipvs_sockopt::has_known_protocol(service)) {
        return std::unexpected{Error::unsupported_protocol};
    }
    const ipvs::ServiceKey key = ipvs_sockopt::decode_service_key(service);
    if (option == IP_VS_SO_SET_ADD) return control_.add_service(key, *spec);
    if (!has_service(key, service)) return std::unexpected{Error::no_such_service};
    if (option == IP_VS_SO_SET_EDIT) return control_.edit_service(key, *spec);
    if (option == IP_VS_SO_SET_DEL) return control_.remove_service(key);
    if (option == IP_VS_SO_SET_ZERO) return control_.zero(key);

    const auto destination = ipvs_sockopt::decode_destination(
        net::load<ipvs_sockopt::ServiceAndDestination>(argument.data()).destination
    );
    if (option == IP_VS_SO_SET_ADDDEST) return control_.add_destination(key, destination);
    if (option == IP_VS_SO_SET_EDITDEST) return control_.edit_destination(key, destination);
    return control_.remove_destination(key, destination.key);
}

Result<OutputBytes> SockoptDispatcher::get(const SockoptCall& call) const {
    switch (call.option) {
        case IP_VS_SO_GET_VERSION: {
            const std::string text = procfs::version_text(control_.information());
            const auto bytes = std::as_bytes(std::span{text});
            OutputBytes output{bytes.begin(), bytes.end()};
            output.push_back(std::byte{0});
            return output;
        }
        case IP_VS_SO_GET_INFO: {
            const ipvs::Information information = control_.information();
            return bytes_of(ip_vs_getinfo{
                .version = information.version,
                .size = information.connection_table_size,
                .num_services = control_.count_services(ipvs::Family::inet),
            });
        }
        case IP_VS_SO_GET_TIMEOUT:
            return bytes_of(ipvs_sockopt::encode_timeouts(control_.timeouts()));
        case IP_VS_SO_GET_DAEMON: {
            std::array<ip_vs_daemon_user, 2> slots{};
            for (const ipvs::SyncDaemonConfig& daemon : control_.daemons()) {
                const bool master = daemon.state == IP_VS_STATE_MASTER;
                slots[master ? 0 : 1] = ipvs_sockopt::encode_daemon(daemon);
            }
            return bytes_of(slots);
        }
        case IP_VS_SO_GET_SERVICES:
            return get_services(call);
        case IP_VS_SO_GET_SERVICE:
            return get_service(call.argument);
        case IP_VS_SO_GET_DESTS:
            return get_destinations(call);
        default:
            return std::unexpected{Error::invalid_argument};
    }
}

// Linux: ip_vs_ctl.c __ip_vs_get_service_entries — IPv4 only; a list longer than the caller
// counted is cut, of a shorter one the tail is not written.
Result<OutputBytes> SockoptDispatcher::get_services(const SockoptCall& call) const {
    const auto header = net::load<ip_vs_get_services>(call.argument.data());
    const auto wanted = std::uint64_t{header.num_services};
    if (call.length != sizeof(header) + wanted * sizeof(ip_vs_service_entry)) {
        return std::unexpected{Error::invalid_argument};
    }
    OutputBytes output{call.argument.begin(), call.argument.begin() + sizeof(header)};
    std::uint64_t shown = 0;
    if (wanted == 0) return output;
    control_.visit_services(0, [&](const ipvs::ServiceView& service) {
        if (ipvs::family_of(service.key) != ipvs::Family::inet) return true;
        ip_vs_service_entry entry{};
        ipvs_sockopt::encode_service(entry, service);
        append(output, entry);
        return ++shown < wanted;
    });
    return output;
}

Result<OutputBytes> SockoptDispatcher::get_service(Bytes argument) const {
    auto entry = net::load<ip_vs_service_entry>(argument.data());
    const auto service = control_.find_service(ipvs_sockopt::decode_service_key(entry));
    if (!service) return std::unexpected{service.error()};
    ipvs_sockopt::encode_service(entry, *service);
    return bytes_of(entry);
}

// Linux: ip_vs_ctl.c __ip_vs_get_dest_entries — destinations of the other family are skipped.
Result<OutputBytes> SockoptDispatcher::get_destinations(const SockoptCall& call) const {
    const auto header = net::load<ip_vs_get_dests>(call.argument.data());
    const auto wanted = std::uint64_t{header.num_dests};
    if (call.length != sizeof(header) + wanted * sizeof(ip_vs_dest_entry)) {
        return std::unexpected{Error::invalid_argument};
    }
    const ipvs::ServiceKey key = ipvs_sockopt::decode_service_key(header);
    if (!control_.has_service(key)) return std::unexpected{Error::no_such_service};
    OutputBytes output{call.argument.begin(), call.argument.begin() + sizeof(header)};
    std::uint64_t shown = 0;
    if (wanted == 0) return output;
    control_.visit_destinations(key, 0, [&](const ipvs::DestinationView& destination) {
        if (destination.spec.key.address.is_v6()) return true;
        append(output, ipvs_sockopt::encode_destination(destination));
        return ++shown < wanted;
    });
    return output;
}

}  // namespace nlvs::shim
