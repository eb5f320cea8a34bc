#include "netlink-shim/launcher/send_calls.hpp"

#include "netlink-shim/core/rules.hpp"
#include "netlink-shim/launcher/called_socket.hpp"
#include "netlink-shim/launcher/message.hpp"
#include "netlink-shim/preload/netlink_redirect.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

#include <limits.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/syscall.h>

namespace nlvs::shim {

namespace {

/// Linux: af_netlink.c netlink_autobind — the port of an unbound socket is its sender's process
/// id, which must not be ours; where that is taken, any other.
void bind_as(const CalledSocket& socket) {
    sockaddr_nl name = {};
    socklen_t size = sizeof(name);
    auto* const address = reinterpret_cast<sockaddr*>(&name);
    if (getsockname(socket.get(), address, &size) != 0 || name.nl_pid != 0) return;
    name.nl_pid = static_cast<std::uint32_t>(socket.caller.process_in_its_namespace);
    bind(socket.get(), address, sizeof(name));
}

bool concerns_daemon(const msghdr& message) {
    const ScatteredBytes bytes(message.msg_iov, message.msg_iovlen);
    const Run run = next_run(bytes, 0);
    return run.length > 0 && (run.recipient != Recipient::kernel || run.length < bytes.size());
}

/// Runs `send`, which is false if the kernel shall do it, in the caller's place.
template <class Send>
Answer send_for(const Call& call, const CalledSocket& socket, const Send& send) {
    if (!call.is_alive()) return Answer::resume();
    const InPlaceOf place(call.thread(), socket.caller, network_namespace_file(socket.get()));
    if (!place) return Answer::resume();
    bind_as(socket);
    return send();
}

std::optional<Message> message_of(const Call& call) {
    const RemoteMemory memory = call.memory();
    switch (call.number()) {
        case SYS_write:
            return Message::from_buffer(call.argument(1), call.argument(2));
        case SYS_writev:
            return Message::from_parts(memory, call.argument(1), call.argument(2));
        case SYS_sendmsg:
            return Message::from_header(memory, call.argument(1));
        default:
            break;
    }
    auto message = Message::from_buffer(call.argument(1), call.argument(2));
    if (message) message->set_name(call.argument(4), static_cast<std::uint32_t>(call.argument(5)));
    return message;
}

int flags_of(const Call& call) {
    switch (call.number()) {
        case SYS_sendmsg:
            return call.int_argument(2);
        case SYS_sendto:
            return call.int_argument(3);
        default:
            return 0;
    }
}

Answer answer_one(const Call& call, const CalledSocket& socket) {
    auto message = message_of(call);
    if (!message || !message->is_whole() || !message->fetch(call.memory())) return Answer::resume();
    if (!concerns_daemon(message->local())) return Answer::resume();
    return send_for(call, socket, [&] {
        ssize_t result = 0;
        const bool ours = redirect_send(socket.get(), &message->local(), flags_of(call), result);
        return ours ? Answer::of(result) : Answer::resume();
    });
}

Answer answer_several(const Call& call, const CalledSocket& socket) {
    const RemoteMemory memory = call.memory();
    const std::uint64_t address = call.argument(1);
    // Linux: socket.c __sys_sendmmsg caps the number.
    const auto count = std::min(static_cast<unsigned>(call.argument(2)), unsigned{IOV_MAX});
    std::vector<Message> messages;
    std::vector<mmsghdr> headers;
    bool ours = false;
    for (unsigned i = 0; i < count; ++i) {
        auto message = Message::from_header(memory, address + i * sizeof(mmsghdr));
        if (!message || !message->is_whole() || !message->fetch(memory)) return Answer::resume();
        ours = ours || concerns_daemon(message->local());
        headers.push_back({message->local(), 0});
        messages.push_back(std::move(*message));
    }
    if (!ours) return Answer::resume();
    return send_for(call, socket, [&] {
        int result = 0;
        if (!redirect_sendmmsg(socket.get(), headers.data(), count, call.int_argument(3), result))
            return Answer::resume();
        for (int i = 0; i < result; ++i) {
            const auto at = static_cast<std::size_t>(i);
            const std::uint64_t length =
                address + at * sizeof(mmsghdr) + offsetof(mmsghdr, msg_len);
            memory.write(length, &headers[at].msg_len, sizeof(headers[at].msg_len));
        }
        return Answer::of(result);
    });
}

}  // namespace

Answer answer_send(const Call& call) {
    const auto socket = CalledSocket::generic_netlink(call);
    if (!socket) return Answer::resume();
    return call.number() == SYS_sendmmsg ? answer_several(call, *socket)
                                         : answer_one(call, *socket);
}

}  // namespace nlvs::shim
