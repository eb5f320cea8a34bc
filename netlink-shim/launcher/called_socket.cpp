#include "netlink-shim/launcher/called_socket.hpp"

#include <linux/netlink.h>
#include <sys/socket.h>

namespace nlvs::shim {

namespace {

bool socket_option_is(int socket, int option, int wanted) noexcept {
    int value = 0;
    socklen_t size = sizeof(value);
    return getsockopt(socket, SOL_SOCKET, option, &value, &size) == 0 && value == wanted;
}

}  // namespace

bool is_generic_netlink_socket(int socket) noexcept {
    return socket_option_is(socket, SO_DOMAIN, AF_NETLINK) &&
           socket_option_is(socket, SO_PROTOCOL, NETLINK_GENERIC);
}

std::optional<CalledSocket> CalledSocket::of(const Call& call, int argument) {
    const auto caller = read_thread_status(call.thread());
    if (!caller) return std::nullopt;
    const Descriptor process = open_process(caller->process);
    if (!process) return std::nullopt;
    Descriptor file = copy_descriptor(process, call.int_argument(argument));
    if (!file || !call.is_alive()) return std::nullopt;
    return CalledSocket{*caller, std::move(file)};
}

std::optional<CalledSocket> CalledSocket::generic_netlink(const Call& call) {
    auto socket = of(call);
    if (socket && !is_generic_netlink_socket(socket->get())) return std::nullopt;
    return socket;
}

}  // namespace nlvs::shim
