#pragma once

#include <sys/socket.h>

namespace nlvs::shim {

/// True if a daemon serves the socket's network namespace and has answered (or is unreachable):
/// `result` and errno are what the caller gets. False: the call is to be passed on.
bool redirect_setsockopt(
    int socket, int level, int option, const void* value, socklen_t length, int& result
) noexcept;
/// `written` is how much of `value` is the answer; `length`, as in the kernel, need not tell.
bool redirect_getsockopt(
    int socket,
    int level,
    int option,
    void* value,
    socklen_t* length,
    socklen_t& written,
    int& result
) noexcept;

}  // namespace nlvs::shim
