#include "daemon/packet_capture.hpp"

#include <fmt/format.h>
#include <rte_cycles.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <chrono>
#include <expected>
#include <limits>
#include <utility>

#include "daemon/pcapng.hpp"
#include "forwarding/capture_tap.hpp"

namespace nlvs::daemon {
namespace {

namespace asio = boost::asio;
using forwarding::CapturedPacket;
using forwarding::CaptureTap;
using forwarding::PortIndex;

/// How long packets may lie with the workers.
constexpr std::chrono::milliseconds look_again{10};
/// Bytes that are handed to the socket at once.
constexpr std::size_t batch = std::size_t{256} << 10;

struct CaptureRequest {
    std::uint64_t count = std::numeric_limits<std::uint64_t>::max();
    std::uint16_t snap = PacketCapture::default_snap;
    CaptureTap::Ports ports = 0;
};

template <class Number>
bool read_number(std::string_view text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size() && number != 0;
}

std::expected<CaptureRequest, std::string> read_request(
    std::string_view text, const std::vector<PacketCapture::Port>& ports
) {
    CaptureRequest request;
    std::string_view wanted;
    while (!text.empty()) {
        const bool names_port = text.starts_with("port=");
        const auto end = names_port ? text.size() : std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const auto value = word.substr(std::min(word.find('=') + 1, word.size()));
        const bool understood = names_port ? !(wanted = value).empty()
                                : word.starts_with("count=") ? read_number(value, request.count)
                                : word.starts_with("snap=")  ? read_number(value, request.snap)
                                                             : false;
        if (!understood) return std::unexpected{fmt::format("\"{}\" is not understood", word)};
    }
    for (std::size_t i = 0; i < ports.size(); ++i) {
        const bool watched = wanted.empty() || ports[i].shadow == wanted || ports[i].device == wanted;
        if (watched) request.ports |= CaptureTap::Ports{1} << i;
    }
    if (request.ports != 0) return request;
    return std::unexpected{
        ports.empty() ? "this nlvsd has no ports" : fmt::format("no port \"{}\"", wanted)
    };
}

/// Of a reading of the time-stamp counter that is not long ago.
class WallClock {
public:
    WallClock() noexcept
        : tsc_{rte_rdtsc()},
          time_{std::chrono::duration_cast<std::chrono::nanoseconds>(
                    std::chrono::system_clock::now().time_since_epoch()
          )
                    .count()} {}

    std::uint64_t now() const noexcept { return static_cast<std::uint64_t>(time_); }

    std::uint64_t at(std::uint64_t tsc) const noexcept {
        const auto cycles = static_cast<std::int64_t>(tsc - tsc_);
        const double nanoseconds =
            static_cast<double>(cycles) * 1e9 / static_cast<double>(rte_get_tsc_hz());
        return static_cast<std::uint64_t>(time_ + static_cast<std::int64_t>(nanoseconds));
    }

private:
    std::uint64_t tsc_;
    std::int64_t time_;
};

void refuse(PacketCapture::Socket client, const std::string& sentence) {
    auto socket = std::make_shared<PacketCapture::Socket>(std::move(client));
    auto text = std::make_shared<std::string>("error\n" + sentence + "\n");
    asio::async_write(
        *socket, asio::buffer(*text),
        [socket, text](const boost::system::error_code&, std::size_t) {}
    );
}

}  // namespace

/// One capture. It lives as long as a handler refers to it, which is until no worker knows its taps.
class PacketCapture::Session : public std::enable_shared_from_this<Session> {
public:
    Session(
        asio::io_context& context, WorkerMail& mail, const std::vector<Port>& ports,
        const CaptureRequest& request, Socket client
    )
        : mail_{mail},
          ports_{ports},
          request_{request},
          socket_{std::move(client)},
          timer_{context} {
        interfaces_.fill(0);
        for (std::size_t worker = 0; worker < mail.workers(); ++worker) {
            taps_.push_back(std::make_unique<CaptureTap>(request.ports, request.snap));
        }
    }

    void start() {
        listen();
        tell_workers(true, [](Session& session) { session.started(); });
    }

private:
    bool watches(std::size_t port) const noexcept { return (request_.ports >> port & 1) != 0; }

    /// Calls `done` when every worker knows; the answers come in the order of the requests.
    void tell_workers(bool on, void (*done)(Session&)) {
        auto missing = std::make_shared<std::size_t>(taps_.size());
        for (std::size_t worker = 0; worker < taps_.size(); ++worker) {
            auto request = std::make_unique<forwarding::WorkerRequest>();
            request->kind = forwarding::WorkerRequest::Kind::capture;
            request->tap = on ? taps_[worker].get() : nullptr;
            mail_.post(
                worker, std::move(request),
                [self = shared_from_this(), missing, done](forwarding::WorkerRequest&) {
                    if (--*missing == 0) done(*self);
                }
            );
        }
    }

    /// Whatever comes from the client, its end above all, ends the capture.
    void listen() {
        socket_.async_read_some(
            asio::buffer(&ignored_, 1),
            [self = shared_from_this()](const boost::system::error_code&, std::size_t) { self->stop(); }
        );
    }

    void started() {
        out_ = "ok\n";
        pcapng::append_section(out_, "nlvsd");
        std::uint32_t next = 0;
        for (std::size_t i = 0; i < ports_.size(); ++i) {
            if (!watches(i)) continue;
            pcapng::append_interface(out_, ports_[i].shadow, ports_[i].device, request_.snap);
            interfaces_[i] = next++;
        }
        send();
    }

    void stop() {
        if (std::exchange(stopping_, true)) return;
        tell_workers(false, [](Session& session) {
            session.off_ = true;
            session.timer_.cancel();
            if (session.failed_) session.close();
        });
    }

    void send() {
        asio::async_write(
            socket_, asio::buffer(out_),
            [self = shared_from_this()](const boost::system::error_code& error, std::size_t) {
                if (error) {
                    self->failed_ = true;
                    self->stop();
                }
                self->look();
            }
        );
    }

    /// Sends what there is, or waits for some. With the last of it the session ends.
    void look() {
        if (failed_) {
            if (off_) close();
            return;
        }
        const bool last = off_;
        out_.clear();
        collect();
        if (!out_.empty()) return send();
        if (last) return finish();
        timer_.expires_after(look_again);
        timer_.async_wait([self = shared_from_this()](const boost::system::error_code&) {
            self->look();
        });
    }

    /// The workers' packets in the order of their times, as far as each worker has them.
    void collect() {
        const WallClock clock;
        std::vector<std::uint32_t> left, read(taps_.size(), 0);
        for (const auto& tap : taps_) left.push_back(tap->pending());
        while (out_.size() < batch) {
            std::size_t first = taps_.size();
            CapturedPacket about;
            for (std::size_t i = 0; i < taps_.size(); ++i) {
                if (read[i] == left[i]) continue;
                const CapturedPacket candidate = taps_[i]->about(read[i]);
                if (first != taps_.size() && candidate.tsc >= about.tsc) continue;
                first = i;
                about = candidate;
            }
            if (first == taps_.size()) break;
            append(about, taps_[first]->bytes(read[first]++), clock);
        }
        for (std::size_t i = 0; i < taps_.size(); ++i) taps_[i]->release(read[i]);
    }

    void append(
        const CapturedPacket& about, std::span<const std::byte> bytes, const WallClock& clock
    ) {
        if (request_.count == 0) return;
        const auto direction = about.direction == CapturedPacket::Direction::received
                                   ? pcapng::Direction::inbound
                                   : pcapng::Direction::outbound;
        pcapng::append_packet(
            out_, {interfaces_[about.port], clock.at(about.tsc), about.length, direction}, bytes
        );
        if (--request_.count == 0) stop();
    }

    void finish() {
        const WallClock clock;
        for (std::size_t i = 0; i < ports_.size(); ++i) {
            if (!watches(i)) continue;
            std::uint64_t lost = 0;
            for (const auto& tap : taps_) lost += tap->lost(static_cast<PortIndex>(i));
            pcapng::append_statistics(out_, interfaces_[i], clock.now(), lost);
        }
        asio::async_write(
            socket_, asio::buffer(out_),
            [self = shared_from_this()](const boost::system::error_code&, std::size_t) {
                self->close();
            }
        );
    }

    void close() {
        boost::system::error_code ignored;
        socket_.close(ignored);
    }

    WorkerMail& mail_;
    const std::vector<Port>& ports_;
    CaptureRequest request_;
    Socket socket_;
    asio::steady_timer timer_;
    std::vector<std::unique_ptr<CaptureTap>> taps_;  ///< of each worker
    std::array<std::uint32_t, forwarding::max_ports> interfaces_;
    std::string out_;
    char ignored_ = 0;
    bool stopping_ = false;
    bool off_ = false;  ///< no worker knows the taps any more
    bool failed_ = false;
};

PacketCapture::PacketCapture(asio::io_context& context, WorkerMail& mail, std::vector<Port> ports)
    : context_{context},
      mail_{mail},
      ports_{std::move(ports)} {}

PacketCapture::~PacketCapture() = default;

void PacketCapture::begin(std::string_view request, Socket client) {
    const auto understood = read_request(request, ports_);
    if (!understood) return refuse(std::move(client), understood.error());
    if (!current_.expired()) return refuse(std::move(client), "there is another capture");
    const auto session =
        std::make_shared<Session>(context_, mail_, ports_, *understood, std::move(client));
    current_ = session;
    session->start();
}

}  // namespace nlvs::daemon
