#pragma once

// Theory of operation. The supervised program's calls reach the supervisor by seccomp user
// notification, which costs two context switches; the filter decides in the kernel, on numbers
// alone, which calls pay that. Send and receive calls can only be told apart by descriptor, so a
// generic netlink socket is given a number from a reserved range when it is made: the supervisor
// opens it in the program's place. Every other descriptor's read, write, send and receive calls
// cost one comparison in the kernel. Paths are pointers, which a filter cannot follow: calls with
// an absolute path, or one relative to the working directory, are always looked at.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <linux/filter.h>

namespace nlvs::shim {

/// Descriptor numbers `first` to `end` - 1.
struct DescriptorRange {
    std::uint32_t first;
    std::uint32_t end;
};

/// In the order in which numbers are given out: below 1024, so that select() works, and far up
/// for programs that have that many files open.
using WatchedDescriptors = std::array<DescriptorRange, 2>;

/// The ranges for a program with this limit (RLIMIT_NOFILE, soft) on open files.
WatchedDescriptors watched_descriptors(std::uint64_t limit);

/// Notifies of what may be ours, allows everything else, also calls of another architecture.
std::vector<sock_filter> build_filter(std::span<const DescriptorRange> watched);

/// Puts the filter on the calling thread for good. Gives up the right to gain privileges by
/// exec (no_new_privs) only where the kernel insists. Returns the listener, or -1 with errno.
int install_filter(std::span<const sock_filter> filter);

}  // namespace nlvs::shim
