#pragma once

#include "netlink-shim/endpoint/message_handler.hpp"

#include <functional>
#include <optional>
#include <vector>

namespace nlvs::shim {

struct SockoptCall {
    bool is_get = false;
    std::uint32_t option = 0;  ///< IP_VS_BASE_CTL + n
    std::uint32_t length = 0;  ///< as the caller passed it; `argument` may be shorter
    std::span<const std::byte> argument;
};

/// error is a positive errno. For a get without error, `bytes` is copied to the caller and its
/// size becomes the returned length (never more than the caller's length).
struct SockoptResult {
    int error = 0;
    std::vector<std::byte> bytes;
};

using SockoptFunction = std::function<SockoptResult(const SockoptCall&)>;

/// Answers IP_VS_SO_GET_*/IP_VS_SO_SET_* calls that a front end sent as netlink messages.
/// The kernel has checked CAP_NET_ADMIN when it delivered the message.
/// Thread: control.
class SockoptServer final : public MessageHandler {
public:
    explicit SockoptServer(SockoptFunction function);

    Answer handle(std::span<const std::byte> message, const Client& client) override;

private:
    SockoptFunction function_;
};

}  // namespace nlvs::shim
