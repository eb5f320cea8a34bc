#include "daemon/service_notification.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/datagram_protocol.hpp>
#include <cstdlib>
#include <string>

namespace nlvs::daemon {

void notify_service_manager(std::string_view state) {
    namespace asio = boost::asio;
    const char* variable = std::getenv("NOTIFY_SOCKET");
    if (variable == nullptr || (variable[0] != '/' && variable[0] != '@')) return;
    std::string path{variable};
    if (path[0] == '@') path[0] = '\0';  // the abstract namespace
    try {
        asio::io_context context;
        asio::local::datagram_protocol::socket socket{context, asio::local::datagram_protocol{}};
        socket.send_to(
            asio::buffer(state.data(), state.size()),
            asio::local::datagram_protocol::endpoint{path}
        );
    } catch (const boost::system::system_error&) {
        return;  // by contract
    }
}

}  // namespace nlvs::daemon
