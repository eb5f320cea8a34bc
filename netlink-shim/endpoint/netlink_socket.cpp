#include "netlink-shim/endpoint/netlink_socket.hpp"

#include "netlink-shim/core/protocol.hpp"
#include "netlink-shim/endpoint/kernel_families.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <boost/system/system_error.hpp>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nlvs::shim {

namespace {

using namespace std::chrono_literals;

// Clients of the kernel never see a full request queue; with this one neither do ours.
constexpr int receive_buffer = 16 << 20;
constexpr std::size_t datagrams_per_turn = 64;
constexpr auto first_pause = 20us;
constexpr auto longest_pause = 50ms;

[[noreturn]] void fail(const char* what) {
    throw boost::system::system_error(errno, boost::system::system_category(), what);
}

int open_socket() {
    const int opened =
        ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_GENERIC);
    if (opened < 0) fail("cannot open a netlink socket");
    // Without CAP_NET_ADMIN in the initial user namespace the limit of the system holds.
    if (::setsockopt(opened, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof(int)) != 0)
        ::setsockopt(opened, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(int));
    return opened;
}

/// Linux: af_netlink.c netlink_autobind — any port id that is free in this namespace.
std::uint32_t bind_socket(int socket) {
    sockaddr_nl name = {};
    name.nl_family = AF_NETLINK;
    socklen_t size = sizeof(name);
    if (::bind(socket, reinterpret_cast<const sockaddr*>(&name), size) != 0 ||
        ::getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size) != 0)
        fail("cannot bind a netlink socket");
    return name.nl_pid;
}

netlink::AckOptions decode_options(std::span<const std::byte> message) {
    std::uint32_t word = 0;
    if (message.size() >= sizeof(nlmsghdr) + sizeof(word))
        std::memcpy(&word, message.data() + sizeof(nlmsghdr), sizeof(word));
    return {.capped = (word & option_cap_ack) != 0, .extended = (word & option_ext_ack) != 0};
}

bool lists_all_families(std::span<const std::byte> message) {
    nlmsghdr header;
    genlmsghdr command;
    if (message.size() < sizeof(header) + sizeof(command)) return false;
    std::memcpy(&header, message.data(), sizeof(header));
    std::memcpy(&command, message.data() + NLMSG_HDRLEN, sizeof(command));
    return header.nlmsg_type == GENL_ID_CTRL && command.cmd == CTRL_CMD_GETFAMILY &&
           (header.nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
}

}  // namespace

NetlinkSocket::NetlinkSocket(
    boost::asio::io_context& context,
    MessageHandler& family,
    MessageHandler& sockopt,
    OwedAnswers& owed
)
    : context_(context),
      family_(family),
      sockopt_(sockopt),
      owed_(owed),
      socket_(context, open_socket()),
      port_(bind_socket(socket_.native_handle())) {}

NetlinkSocket::~NetlinkSocket() {
    stop();
}

void NetlinkSocket::start() {
    wait();
}

void NetlinkSocket::stop() {
    boost::system::error_code ignored;
    socket_.close(ignored);
    owed_.freeze();
    sessions_.clear();
}

void NetlinkSocket::wait() {
    socket_.async_wait(
        boost::asio::posix::descriptor_base::wait_read,
        [this](const boost::system::error_code& error) {
            if (error) return;
            receive_all();
            if (socket_.is_open()) wait();
        }
    );
}

void NetlinkSocket::receive_all() {
    for (std::size_t i = 0; i < datagrams_per_turn; ++i) {
        const auto inbox = owed_.inbox();
        sockaddr_nl& sender = owed_.sender();
        socklen_t size = sizeof(sender);
        const ssize_t received = ::recvfrom(
            socket_.native_handle(),
            inbox.data(),
            inbox.size(),
            MSG_DONTWAIT | MSG_TRUNC,
            reinterpret_cast<sockaddr*>(&sender),
            &size
        );
        if (received < 0 && errno == EINTR) continue;
        if (received < 0) {
            if (errno == ENOBUFS) ++counters_.datagrams_lost;
            return;
        }
        const auto length = static_cast<std::size_t>(received);
        if (length > inbox.size()) {
            ++counters_.datagrams_lost;
        } else if (sender.nl_pid != 0) {
            receive_datagram(inbox.first(length), sender.nl_pid);
        }
        owed_.clear_inbox(length);
    }
}

/// Linux: af_netlink.c netlink_rcv_skb.
void NetlinkSocket::receive_datagram(std::span<const std::byte> bytes, std::uint32_t sender) {
    netlink::AckOptions options;
    while (bytes.size() >= sizeof(nlmsghdr)) {
        nlmsghdr header;
        std::memcpy(&header, bytes.data(), sizeof(header));
        if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > bytes.size()) break;
        const auto message = bytes.first(header.nlmsg_len);
        if (header.nlmsg_type == options_message_type) {
            options = decode_options(message);
        } else {
            handle_message(message, sender, options);
        }
        bytes = bytes.subspan(std::min(NLMSG_ALIGN(std::size_t{header.nlmsg_len}), bytes.size()));
    }
    advance(sender);
}

void NetlinkSocket::handle_message(
    std::span<const std::byte> message, std::uint32_t sender, const netlink::AckOptions& options
) {
    ++counters_.messages;
    nlmsghdr header;
    std::memcpy(&header, message.data(), sizeof(header));
    if (header.nlmsg_type == flush_message_type) return flush(message, sender);
    auto& conversation = sessions_[sender];
    if (!conversation) conversation = std::make_shared<Conversation>(context_);
    conversation->last_request = header;
    Client client;
    client.port = sender;
    client.dump_running = conversation->session.dump_running();
    client.options = options;
    MessageHandler& handler = header.nlmsg_type == sockopt_message_type ? sockopt_ : family_;
    Answer answer = handler.handle(message, client);
    if (answer.dump && lists_all_families(message))
        answer.datagrams = kernel_families(header.nlmsg_seq, sender);
    if (!conversation->session.add(std::move(answer))) ++counters_.answers_dropped;
}

/// Requests are handled in the order they came, so those of the client are done by now.
void NetlinkSocket::flush(std::span<const std::byte> message, std::uint32_t sender) {
    std::uint32_t client = 0;
    if (message.size() < sizeof(nlmsghdr) + sizeof(client)) return;
    std::memcpy(&client, message.data() + sizeof(nlmsghdr), sizeof(client));
    advance(client);
    nlmsghdr answer = {};
    answer.nlmsg_len = sizeof(answer);
    answer.nlmsg_type = flush_message_type;
    send(sender, std::as_bytes(std::span(&answer, 1)));
}

void NetlinkSocket::advance(std::uint32_t client) {
    const auto found = sessions_.find(client);
    if (found == sessions_.end()) return;
    Conversation& conversation = *found->second;
    bool sent_any = false;
    const auto progress = conversation.session.advance([&](std::span<const std::byte> datagram) {
        const SendStatus status = send(client, datagram);
        sent_any |= status == SendStatus::sent;
        return status;
    });
    switch (progress) {
        case Session::Progress::finished:
        case Session::Progress::gone:
            sessions_.erase(found);
            return;
        case Session::Progress::more:
            conversation.pause = 0us;
            break;
        case Session::Progress::blocked:
            ++counters_.waits;
            conversation.pause = sent_any ? std::chrono::microseconds(first_pause)
                                          : std::clamp<std::chrono::microseconds>(
                                                conversation.pause * 2, first_pause, longest_pause
                                            );
            break;
    }
    conversation.debt = OwedAnswers::Debt{owed_, client, conversation.last_request};
    schedule(client, found->second);
}

/// The kernel does not tell a sender when a reader made room, so look again: soon while the
/// client reads, ever more rarely while it does not.
void NetlinkSocket::schedule(
    std::uint32_t client, const std::shared_ptr<Conversation>& conversation
) {
    conversation->timer.expires_after(conversation->pause);
    conversation->timer.async_wait(
        [this, client, weak = std::weak_ptr(conversation)](const boost::system::error_code& error) {
            if (!error && !weak.expired()) advance(client);
        }
    );
}

SendStatus NetlinkSocket::send(std::uint32_t client, std::span<const std::byte> datagram) {
    sockaddr_nl name = {};
    name.nl_family = AF_NETLINK;
    name.nl_pid = client;
    for (;;) {
        const ssize_t sent = ::sendto(
            socket_.native_handle(),
            datagram.data(),
            datagram.size(),
            MSG_DONTWAIT,
            reinterpret_cast<const sockaddr*>(&name),
            sizeof(name)
        );
        if (sent >= 0) return SendStatus::sent;
        if (errno == EINTR) continue;
        // Linux: af_netlink.c netlink_attachskb; ENOBUFS and ENOMEM pass like a full buffer.
        if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM) return SendStatus::full;
        return SendStatus::gone;
    }
}

}  // namespace nlvs::shim
