#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>

namespace nlvs {

/// To the nlvsd that serves this network namespace. Throws std::runtime_error.
boost::asio::local::stream_protocol::socket connect_to_daemon(boost::asio::io_context& context);

}  // namespace nlvs
