#include "netlink-shim/endpoint/survivor.hpp"

#include "netlink-shim/core/descriptor_passing.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <deque>
#include <system_error>

#include <fcntl.h>
#include <linux/genetlink.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nlvs::shim {

namespace {

constexpr char process_name[] = "nlvs-survivor";
// A front end reads the registration and sends; for one that did so just before the end. A daemon
// that ends of itself has taken its registration back before.
constexpr int late_milliseconds = 1000;
constexpr int late_milliseconds_at_a_clean_end = 100;
constexpr int longest_pause_milliseconds = 200;

volatile std::sig_atomic_t in_a_hurry = 0;

/// The answer to one request that will have no other.
struct Farewell {
    std::uint32_t port;
    nlmsghdr request;
};

struct ErrorMessage {
    nlmsghdr header;
    nlmsgerr error;
};

struct OptionMessage {
    nlmsghdr header;
    SockoptReplyHeader result;
};

enum class Told : std::uint8_t { yes, not_yet };

bool send_to(int socket, std::uint32_t port, const void* message, std::size_t size) noexcept {
    sockaddr_nl name = {};
    name.nl_family = AF_NETLINK;
    name.nl_pid = port;
    const auto* const address = reinterpret_cast<const sockaddr*>(&name);
    return sendto(socket, message, size, MSG_DONTWAIT, address, sizeof(name)) >= 0;
}

Told say(int socket, const Farewell& farewell) noexcept {
    const nlmsghdr& request = farewell.request;
    bool sent = false;
    if (request.nlmsg_type == sockopt_message_type) {
        // Linux: nf_sockopt.c nf_sockopt_find — what the call returns without ip_vs.
        OptionMessage message = {request, {ENOPROTOOPT, 0, 0}};
        message.header.nlmsg_len = sizeof(message);
        sent = send_to(socket, farewell.port, &message, sizeof(message));
    } else if (request.nlmsg_type == flush_message_type) {
        nlmsghdr message = request;
        message.nlmsg_len = sizeof(message);
        sent = send_to(socket, farewell.port, &message, sizeof(message));
    } else {
        ErrorMessage message = {request, {-ECONNRESET, request}};
        message.header.nlmsg_len = sizeof(message);
        message.header.nlmsg_type = NLMSG_ERROR;
        message.header.nlmsg_flags = NLM_F_CAPPED;
        message.header.nlmsg_pid = farewell.port;
        sent = send_to(socket, farewell.port, &message, sizeof(message));
    }
    const bool is_full = !sent && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM);
    return is_full ? Told::not_yet : Told::yes;
}

class Executor {
public:
    /// `patience` in milliseconds, for requests that come late.
    Executor(OwedAnswers& owed, int socket, int patience)
        : owed_{owed}, socket_{socket}, patience_{patience} {}

    void run() {
        if (owed_.sender().nl_pid != 0) add_requests(owed_.inbox(), owed_.sender().nl_pid);
        for (const OwedAnswers::Entry& entry : owed_.clients()) {
            const std::uint32_t port = entry.port.load(std::memory_order_acquire);
            if (port != 0) waiting_.push_back({port, entry.request});
        }
        int pause = 1;
        for (int passed = 0; !is_over(passed); passed += pause) {
            drain();
            std::erase_if(waiting_, [this](const Farewell& farewell) {
                return say(socket_, farewell) == Told::yes;
            });
            pause = std::min(pause * 2, longest_pause_milliseconds);
            pollfd event = {socket_, POLLIN, 0};
            poll(&event, 1, pause);
        }
    }

private:
    bool is_over(int milliseconds) const noexcept {
        if (in_a_hurry != 0) return milliseconds > late_milliseconds_at_a_clean_end;
        return milliseconds > patience_ && waiting_.empty();
    }

    /// What the daemon has not read.
    void drain() {
        for (;;) {
            sockaddr_nl sender = {};
            socklen_t size = sizeof(sender);
            const auto inbox = owed_.inbox();
            auto* const name = reinterpret_cast<sockaddr*>(&sender);
            const ssize_t received =
                recvfrom(socket_, inbox.data(), inbox.size(), MSG_DONTWAIT, name, &size);
            if (received < 0) return;
            if (sender.nl_pid == 0) continue;
            add_requests(inbox.first(static_cast<std::size_t>(received)), sender.nl_pid);
        }
    }

    void add_requests(std::span<const std::byte> bytes, std::uint32_t port) {
        while (bytes.size() >= sizeof(nlmsghdr)) {
            nlmsghdr header;
            std::memcpy(&header, bytes.data(), sizeof(header));
            if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > bytes.size()) return;
            const bool asks = (header.nlmsg_flags & NLM_F_REQUEST) != 0;
            if (asks && header.nlmsg_type >= NLMSG_MIN_TYPE) waiting_.push_back({port, header});
            const std::size_t step = NLMSG_ALIGN(std::size_t{header.nlmsg_len});
            bytes = bytes.subspan(std::min(step, bytes.size()));
        }
    }

    OwedAnswers& owed_;
    int socket_;
    int patience_;
    std::deque<Farewell> waiting_;
};

/// So that `pkill -f nlvsd` and `ps` do not take it for the daemon. Linux: proc_pid_stat(5),
/// arg_start and arg_end are the fields 48 and 49.
void rename_process() noexcept {
    prctl(PR_SET_NAME, process_name);
    char text[1024] = {};
    const int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    const ssize_t size = read(file, text, sizeof(text) - 1);
    close(file);
    const char* at = size > 0 ? std::strrchr(text, ')') : nullptr;
    for (int field = 2; at != nullptr && field < 48; ++field) {
        at = std::strchr(at + 1, ' ');
    }
    if (at == nullptr) return;
    char* rest = nullptr;
    const unsigned long start = std::strtoul(at, &rest, 10);
    const unsigned long end = std::strtoul(rest, nullptr, 10);
    if (start == 0 || end <= start) return;
    auto* const arguments = reinterpret_cast<char*>(start);
    std::memset(arguments, 0, end - start);
    std::snprintf(arguments, end - start, "%s", process_name);
}

void leave_everything(int channel) noexcept {
    setsid();
    for (const int number : {SIGINT, SIGQUIT, SIGHUP, SIGPIPE, SIGUSR1, SIGUSR2}) {
        std::signal(number, SIG_IGN);
    }
    std::signal(SIGTERM, [](int) { in_a_hurry = 1; });
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int number = 0; number < 3 && null >= 0; ++number) dup2(null, number);
    if (channel > 3) close_range(3, static_cast<unsigned>(channel) - 1, 0);
    close_range(static_cast<unsigned>(channel) + 1, ~0U, 0);
    if (chdir("/") != 0) return;
}

[[noreturn]] void live_on(OwedAnswers& owed, int channel) noexcept {
    leave_everything(channel);
    rename_process();
    const int socket = receive_descriptor(channel);
    if (socket < 0) _exit(0);
    char byte = 0;
    ssize_t size;
    do {
        size = read(channel, &byte, 1);
    } while (size < 0 && errno == EINTR);
    const bool is_clean = size > 0;
    Executor{owed, socket, is_clean ? late_milliseconds_at_a_clean_end : late_milliseconds}.run();
    _exit(0);
}

}  // namespace

Survivor::Survivor() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        throw std::system_error(errno, std::generic_category(), "cannot open a socket");
    const pid_t child = fork();
    if (child == 0) live_on(owed_, ends[1]);
    close(ends[1]);
    channel_ = ends[0];
    if (child < 0) {
        close(channel_);
        throw std::system_error(errno, std::generic_category(), "cannot fork");
    }
}

Survivor::~Survivor() {
    // Failing that, it is patient.
    (void)send(channel_, "", 1, MSG_NOSIGNAL);
    close(channel_);
}

void Survivor::entrust(int socket) {
    if (!send_descriptor(channel_, socket))
        throw std::system_error(errno, std::generic_category(), "cannot entrust the socket");
}

}  // namespace nlvs::shim
