#pragma once

#include <dirent.h>

namespace nlvs::shim {

/// Listings of /proc/net and /proc/sys/net/ipv4 end with the names of the daemon's files. Called at
/// the end of a stream: the next of these names, or null when there is none (left) or the stream is
/// another directory's. Valid until the next call for this stream. Keeps errno.
struct dirent* further_entry(DIR* stream) noexcept;

/// The stream is closed: its place in the listing is forgotten.
void forget_directory(DIR* stream) noexcept;

}  // namespace nlvs::shim
