// A daemon with the real endpoint and a registry in memory, for tests of the front ends.
// usage: shim_test_daemon [FILES]   prints its netlink port when clients may come, ends by SIGTERM
//
// FILES is a directory that stands for the daemon's file system.

#include "netlink-shim/core/protocol.hpp"
#include "netlink-shim/endpoint/genl_dispatcher.hpp"
#include "netlink-shim/endpoint/netlink_socket.hpp"
#include "netlink-shim/endpoint/runtime_file.hpp"
#include "netlink-shim/endpoint/sockopt_server.hpp"
#include "netlink-shim/endpoint/survivor.hpp"
#include "tests/support/fake_control.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <iostream>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

namespace {

/// Stands for the legacy interface: a get returns as many bytes as were asked for, counting up
/// from the first byte of the argument; a set of 13 bytes is EINVAL.
nlvs::shim::SockoptResult count_up(const nlvs::shim::SockoptCall& call) {
    if (!call.is_get) return {call.length == 13 ? EINVAL : 0, {}};
    nlvs::shim::SockoptResult result;
    const auto first = call.argument.empty() ? 0U : std::to_integer<unsigned>(call.argument[0]);
    for (std::uint32_t i = 0; i < call.length; ++i)
        result.bytes.push_back(static_cast<std::byte>(first + i));
    return result;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        nlvs::shim::Survivor survivor;
        boost::asio::io_context context(1);
        nlvs::test::FakeControl control;
        nlvs::shim::GenlDispatcher family(control, nlvs::shim::ipvs_family_id);
        nlvs::shim::SockoptServer sockopt(count_up);
        const nlvs::shim::RuntimeDirectory directory;
        nlvs::shim::NetlinkSocket socket(context, family, sockopt, survivor.owed());
        survivor.entrust(socket.descriptor());
        socket.start();
        const nlvs::shim::RuntimeFile file(directory, socket.port(), argc > 1 ? argv[1] : "");
        boost::asio::signal_set signals(context, SIGTERM, SIGINT);
        signals.async_wait([&](const boost::system::error_code&, int) { context.stop(); });
        std::cout << socket.port() << std::endl;
        context.run();
        return 0;
    } catch (const std::exception& error) {
        std::cerr << "shim_test_daemon: " << error.what() << '\n';
        return 1;
    }
}
