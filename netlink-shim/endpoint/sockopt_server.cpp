#include "netlink-shim/endpoint/sockopt_server.hpp"

#include "netlink-shim/core/protocol.hpp"

#include <cerrno>
#include <cstring>
#include <utility>

#include <linux/netlink.h>

namespace nlvs::shim {

namespace {

// Well below the default receive buffer of the socket that a front end opens for one call.
constexpr std::size_t chunk_size = 16384;
constexpr std::size_t reply_size = NLMSG_HDRLEN + sizeof(SockoptReplyHeader);

Datagram make_reply(
    const nlmsghdr& request,
    std::uint32_t port,
    const SockoptReplyHeader& result,
    std::span<const std::byte> bytes
) {
    Datagram datagram(reply_size + bytes.size());
    nlmsghdr header = {};
    header.nlmsg_len = static_cast<std::uint32_t>(datagram.size());
    header.nlmsg_type = sockopt_message_type;
    header.nlmsg_seq = request.nlmsg_seq;
    header.nlmsg_pid = port;
    std::memcpy(datagram.data(), &header, sizeof(header));
    std::memcpy(datagram.data() + NLMSG_HDRLEN, &result, sizeof(result));
    if (!bytes.empty()) std::memcpy(datagram.data() + reply_size, bytes.data(), bytes.size());
    return datagram;
}

/// A result of any size in datagrams that fit the client's buffer one at a time.
class SockoptDump final : public Dump {
public:
    SockoptDump(const nlmsghdr& request, std::uint32_t port, std::vector<std::byte> bytes)
        : request_(request), port_(port), bytes_(std::move(bytes)) {}

    /// All chunks but the last, which done() makes.
    Datagram next(std::size_t) override {
        if (bytes_.size() - offset_ <= chunk_size) return {};
        return chunk(chunk_size);
    }

    Datagram done() override { return chunk(bytes_.size() - offset_); }

private:
    Datagram chunk(std::size_t size) {
        const SockoptReplyHeader result = {
            0, static_cast<std::uint32_t>(bytes_.size()), static_cast<std::uint32_t>(offset_)};
        const auto bytes = std::span<const std::byte>(bytes_).subspan(offset_, size);
        offset_ += size;
        return make_reply(request_, port_, result, bytes);
    }

    nlmsghdr request_;
    std::uint32_t port_;
    std::vector<std::byte> bytes_;
    std::size_t offset_ = 0;
};

}  // namespace

SockoptServer::SockoptServer(SockoptFunction function) : function_(std::move(function)) {}

Answer SockoptServer::handle(std::span<const std::byte> message, const Client& client) {
    nlmsghdr header;
    SockoptRequestHeader request;
    if (message.size() < sizeof(header) + sizeof(request)) return {};
    std::memcpy(&header, message.data(), sizeof(header));
    std::memcpy(&request, message.data() + sizeof(header), sizeof(request));
    const auto argument = message.subspan(sizeof(header) + sizeof(request));
    SockoptResult result = {};
    if (!client.privileged) {
        result.error = EPERM;
    } else if (argument.size() != std::min<std::size_t>(request.length, max_sockopt_argument)) {
        result.error = EINVAL;
    } else {
        result = function_({request.is_get != 0, request.option, request.length, argument});
    }
    Answer answer;
    if (result.error != 0) {
        answer.datagrams.push_back(make_reply(header, client.port, {result.error, 0, 0}, {}));
        return answer;
    }
    if (request.is_get == 0) result.bytes.clear();
    if (result.bytes.size() > request.length) result.bytes.resize(request.length);
    answer.dump = std::make_unique<SockoptDump>(header, client.port, std::move(result.bytes));
    return answer;
}

}  // namespace nlvs::shim
