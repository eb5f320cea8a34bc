#pragma once

#include <cstdint>

namespace nlvs::shim {

/// The socket has asked the daemon at `port`: an answer is to come.
void note_request(int socket, std::uint32_t port) noexcept;

/// The kernel always answers; a daemon may die first. Its survivor tells its clients, unless that
/// was killed, too. So a receive call that is going to wait on a socket that has asked waits here,
/// looking now and then whether the daemon is still there. False with errno when the call shall not
/// be made: ECONNRESET, no answer will ever come; EINTR, a signal was handled. At once true for
/// other sockets, and for those that do not wait or wait for a limited time.
bool await_answer(int socket) noexcept;

}  // namespace nlvs::shim
