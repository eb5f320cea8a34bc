#include "tools/nlvsctl/control_socket.hpp"

#include <stdexcept>

#include "daemon/status_server.hpp"
#include "netlink-shim/endpoint/runtime_file.hpp"

namespace nlvs {

boost::asio::local::stream_protocol::socket connect_to_daemon(boost::asio::io_context& context) {
    namespace asio = boost::asio;
    const auto path = shim::runtime_directory() / daemon::StatusServer::socket_name;
    asio::local::stream_protocol::socket socket{context};
    boost::system::error_code error;
    socket.connect(asio::local::stream_protocol::endpoint{path.string()}, error);
    if (error == asio::error::access_denied || error == boost::system::errc::permission_denied) {
        throw std::runtime_error{"only root may ask nlvsd"};
    }
    if (error) throw std::runtime_error{"no nlvsd serves this network namespace"};
    return socket;
}

}  // namespace nlvs
