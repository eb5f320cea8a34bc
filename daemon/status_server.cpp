#include "daemon/status_server.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <memory>
#include <string_view>
#include <utility>

namespace nlvs::daemon {
namespace {

namespace asio = boost::asio;
}  // namespace

/// One client; lives as long as a handler refers to it.
class StatusServer::Session : public std::enable_shared_from_this<Session> {
public:
    Session(Socket socket, const StatusServer& server)
        : socket_{std::move(socket)},
          server_{server} {}

    void start() {
        asio::async_read_until(
            socket_, asio::dynamic_buffer(request_, longest_request), '\n',
            [self = shared_from_this()](const boost::system::error_code& error, std::size_t size) {
                if (error) return;
                self->request_.resize(size - 1);
                const std::string_view request{self->request_};
                const auto end = std::min(request.find(' '), request.size());
                if (const Stream* stream = self->server_.stream_of(request.substr(0, end))) {
                    const auto words = request.substr(std::min(end + 1, request.size()));
                    return (*stream)(words, std::move(self->socket_));
                }
                self->server_.answer(self->request_, [self](std::string text) {
                    self->send(std::move(text));
                });
            }
        );
    }

private:
    void send(std::string text) {
        answer_ = std::move(text);
        asio::async_write(
            socket_, asio::buffer(answer_),
            [self = shared_from_this()](const boost::system::error_code&, std::size_t) {}
        );
    }

    Socket socket_;
    const StatusServer& server_;
    std::string request_;
    std::string answer_;
};

StatusServer::StatusServer(asio::io_context& context, const std::filesystem::path& directory)
    : path_{directory / socket_name},
      acceptor_{context},
      retry_{context} {
    std::filesystem::remove(path_);
    acceptor_.open();
    const mode_t previous = umask(0177);
    boost::system::error_code error;
    acceptor_.bind(asio::local::stream_protocol::endpoint{path_.string()}, error);
    umask(previous);
    if (error) throw boost::system::system_error{error, "cannot make " + path_.string()};
    acceptor_.listen();
    accept();
}

StatusServer::~StatusServer() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
}

void StatusServer::add(const std::string& report, Provider provider) {
    providers_[report] = std::move(provider);
}

void StatusServer::add_stream(const std::string& name, Stream stream) {
    streams_[name] = std::move(stream);
}

const StatusServer::Stream* StatusServer::stream_of(std::string_view name) const {
    const auto found = streams_.find(name);
    return found == streams_.end() ? nullptr : &found->second;
}

void StatusServer::accept() {
    acceptor_.async_accept([this](const boost::system::error_code& error, Socket socket) {
        if (error == asio::error::operation_aborted) return;
        if (!error) {
            std::make_shared<Session>(std::move(socket), *this)->start();
            return accept();
        }
        // Out of descriptors: the connection stays in the queue, so a pause avoids spinning.
        retry_.expires_after(std::chrono::milliseconds{100});
        retry_.async_wait([this](const boost::system::error_code& stopped) {
            if (!stopped) accept();
        });
    });
}

void StatusServer::answer(
    const std::string& request, std::function<void(std::string)> send
) const {
    constexpr std::string_view json_suffix = " json";
    std::string_view name{request};
    const bool as_json = name.ends_with(json_suffix);
    if (as_json) name.remove_suffix(json_suffix.size());
    const auto provider = providers_.find(name);
    if (provider == providers_.end()) {
        send(fmt::format("error\nthis nlvsd has no report \"{}\"\n", name));
        return;
    }
    provider->second([send = std::move(send), as_json](const Report& report) {
        send("ok\n" + (as_json ? print_json(report) : print_text(report)));
    });
}

}  // namespace nlvs::daemon
