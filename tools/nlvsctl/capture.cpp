#include "tools/nlvsctl/capture.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>

#include "daemon/pcapng.hpp"
#include "tools/nlvsctl/control_socket.hpp"

namespace nlvs {
namespace {

namespace pcapng = daemon::pcapng;

std::atomic<int> socket_of_daemon{-1};
static_assert(std::atomic<int>::is_always_lock_free);

/// nlvsd then sends the rest and ends the stream. A second signal ends us at once.
void ask_for_end(int) { shutdown(socket_of_daemon.load(std::memory_order_relaxed), SHUT_WR); }

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error{what + ": " + std::strerror(errno)};
}

struct CaptureOptions {
    std::string request = "capture";
    std::string file = "-";
};

bool is_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

std::optional<CaptureOptions> read_options(std::span<const std::string_view> words) {
    CaptureOptions options;
    std::string port;
    for (std::size_t i = 0; i < words.size(); i += 2) {
        if (i + 1 == words.size()) return {};
        const std::string value{words[i + 1]};
        if (words[i] == "-w") {
            options.file = value;
        } else if (words[i] == "--port") {
            port = " port=" + value;
        } else if (words[i] == "--count" && is_number(value)) {
            options.request += " count=" + value;
        } else if (words[i] == "--snap" && is_number(value)) {
            options.request += " snap=" + value;
        } else {
            return {};
        }
    }
    options.request += port + '\n';
    return options;
}

/// Where blocks go: a file, or a reader that may leave at any time.
class Output {
public:
    explicit Output(const std::string& file) : descriptor_{STDOUT_FILENO} {
        if (file != "-") {
            descriptor_ = open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
            if (descriptor_ < 0) fail(file);
        }
    }

    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    ~Output() {
        if (descriptor_ != STDOUT_FILENO) close(descriptor_);
    }

    /// -1 when nobody reads any more.
    int descriptor() const noexcept { return left_ ? -1 : descriptor_; }

    /// False if nobody reads.
    bool write(std::string_view bytes) {
        while (!left_ && !bytes.empty()) {
            const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
            if (written >= 0) {
                bytes.remove_prefix(static_cast<std::size_t>(written));
            } else if (errno == EPIPE) {
                left_ = true;
            } else if (errno != EINTR) {
                fail("cannot write");
            }
        }
        return !left_;
    }

    void leave() noexcept { left_ = true; }

private:
    int descriptor_;
    bool left_ = false;
};

/// Finds whole blocks in the stream, and in them what there is to tell.
class Blocks {
public:
    void add(std::string_view bytes) { rest_ += bytes; }

    /// The next bytes that end with a block; empty when there are none.
    std::string take() {
        std::size_t end = 0;
        while (rest_.size() - end >= 2 * sizeof(std::uint32_t)) {
            const std::size_t length = number<std::uint32_t>(end + sizeof(std::uint32_t));
            if (length < least) throw std::runtime_error{"nlvsd sends nonsense"};
            if (rest_.size() - end < length) break;
            count(end, length);
            end += length;
        }
        std::string whole = rest_.substr(0, end);
        rest_.erase(0, end);
        return whole;
    }

    std::uint64_t packets() const noexcept { return packets_; }

    /// None before the end of the capture.
    std::optional<std::uint64_t> lost() const noexcept { return lost_; }

private:
    static constexpr std::size_t least = 12;

    template <class Number>
    Number number(std::size_t offset) const {
        Number result{};
        std::memcpy(&result, rest_.data() + offset, sizeof(result));
        return result;
    }

    void count(std::size_t start, std::size_t length) {
        const auto type = number<std::uint32_t>(start);
        if (type == pcapng::packet_block) ++packets_;
        // Interface, time, code and length of the first option, its value.
        constexpr std::size_t code = 20, value = 24;
        if (type == pcapng::statistics_block && length >= value + sizeof(std::uint64_t) &&
            number<std::uint16_t>(start + code) == pcapng::option_lost) {
            lost_ = lost_.value_or(0) + number<std::uint64_t>(start + value);
        }
    }

    std::string rest_;
    std::uint64_t packets_ = 0;
    std::optional<std::uint64_t> lost_;
};

/// Waits for bytes of the daemon; empty at the end of the stream.
std::string receive(int daemon, Output& output) {
    for (;;) {
        std::array<pollfd, 2> watched{{{daemon, POLLIN, 0}, {output.descriptor(), 0, 0}}};
        if (poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) fail("poll");
        if ((watched[1].revents & POLLERR) != 0) {
            output.leave();
            shutdown(daemon, SHUT_WR);
        }
        if ((watched[0].revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
        std::string bytes(std::size_t{64} << 10, '\0');
        const ssize_t size = recv(daemon, bytes.data(), bytes.size(), 0);
        if (size < 0 && errno == EINTR) continue;
        bytes.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
        return bytes;
    }
}

/// Reads "ok\n", or throws the sentence that follows "error\n". Returns what came behind it.
std::string read_verdict(int daemon) {
    std::string text;
    std::array<char, 4096> bytes;
    for (;;) {
        if (text.starts_with("ok\n")) return text.substr(3);
        const ssize_t size = recv(daemon, bytes.data(), bytes.size(), 0);
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) break;
        text.append(bytes.data(), static_cast<std::size_t>(size));
    }
    constexpr std::string_view error = "error\n";
    if (!text.starts_with(error)) throw std::runtime_error{"nlvsd ended before it answered"};
    throw std::runtime_error{text.substr(error.size(), text.find('\n', error.size()) - error.size())};
}

void end_on_signals(int daemon) {
    socket_of_daemon.store(daemon, std::memory_order_relaxed);
    std::signal(SIGPIPE, SIG_IGN);
    struct sigaction action {};
    action.sa_handler = ask_for_end;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

}  // namespace

bool capture(std::span<const std::string_view> words) {
    const auto options = read_options(words);
    if (!options) return false;
    if (options->file == "-" && isatty(STDOUT_FILENO) != 0) {
        throw std::runtime_error{"packets are not for a terminal: -w FILE, or a pipe to tcpdump -r -"};
    }
    boost::asio::io_context context;
    auto socket = connect_to_daemon(context);
    const int daemon = socket.native_handle();
    end_on_signals(daemon);
    boost::asio::write(socket, boost::asio::buffer(options->request));
    Blocks blocks;
    blocks.add(read_verdict(daemon));
    Output output{options->file};
    fmt::print(stderr, "nlvsctl: capturing\n");
    for (;;) {
        const std::string whole = blocks.take();
        if (!whole.empty() && !output.write(whole)) shutdown(daemon, SHUT_WR);
        const std::string bytes = receive(daemon, output);
        if (bytes.empty()) break;
        blocks.add(bytes);
    }
    output.write(blocks.take());
    const std::string lost = blocks.lost() ? std::to_string(*blocks.lost()) + " lost" : "nlvsd ended";
    fmt::print(stderr, "nlvsctl: {} packets captured, {}\n", blocks.packets(), lost);
    return true;
}

}  // namespace nlvs
