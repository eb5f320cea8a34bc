#pragma once

#include <cstddef>

#include <sys/uio.h>

namespace nlvs::shim {

/// After a successful receive call of `size` bytes: what the kernel said about shadow interfaces
/// gets the figures of their NICs. Only what is in the first part. Keeps errno.
void links_received(int socket, const iovec* parts, std::size_t count, std::size_t size) noexcept;

}  // namespace nlvs::shim
