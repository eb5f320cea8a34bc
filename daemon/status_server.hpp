#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "daemon/report.hpp"

namespace nlvs::daemon {

/// Answers nlvsctl on a Unix socket that only root may use. A client sends one line, the name of
/// a report, with " json" after it if it wants JSON; it gets "ok\n" and the report, or "error\n"
/// and a sentence, and the end of the stream. A request whose first word is that of a stream goes on
/// with who provides that.
/// Thread: control.
class StatusServer {
public:
    using Done = std::function<void(Report)>;
    /// Calls `done` once, at once or later.
    using Provider = std::function<void(Done done)>;
    using Socket = boost::asio::local::stream_protocol::socket;
    /// Has the conversation from here on; `words` is what followed the name.
    using Stream = std::function<void(std::string_view words, Socket client)>;

    static constexpr const char* socket_name = "control";
    static constexpr std::size_t longest_request = 512;

    /// Replaces a socket that a killed daemon left. Throws boost::system::system_error.
    StatusServer(boost::asio::io_context& context, const std::filesystem::path& directory);
    StatusServer(const StatusServer&) = delete;
    StatusServer& operator=(const StatusServer&) = delete;
    ~StatusServer();

    void add(const std::string& report, Provider provider);
    void add_stream(const std::string& name, Stream stream);

private:
    class Session;

    void accept();
    const Stream* stream_of(std::string_view name) const;
    void answer(const std::string& request, std::function<void(std::string)> send) const;

    std::filesystem::path path_;
    boost::asio::local::stream_protocol::acceptor acceptor_;
    boost::asio::steady_timer retry_;
    std::map<std::string, Provider, std::less<>> providers_;
    std::map<std::string, Stream, std::less<>> streams_;
};

}  // namespace nlvs::daemon
