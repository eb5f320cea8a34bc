#pragma once

namespace nlvs::shim {

// An open file goes from one process to another over a unix socket, with a byte, unix(7).

/// False, with errno, when the other end has gone.
bool send_descriptor(int channel, int descriptor) noexcept;

/// Waits for it; the caller owns it, closed on exec. -1 when the other end has gone or has sent
/// something else.
int receive_descriptor(int channel) noexcept;

}  // namespace nlvs::shim
