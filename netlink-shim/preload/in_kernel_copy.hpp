#pragma once

#include <errno.h>
#include <sys/types.h>

namespace nlvs::shim {

/// A file of the daemon's file system, open under that number. Keeps errno.
bool is_daemons_file(int descriptor) noexcept;

/// sendfile() and splice(): by the size of a file of ours, 0 as on procfs, the kernel takes it for
/// empty. From one below /proc/net it copies nothing either, and says so: EINVAL, after which
/// programs read. Linux: fs/proc/proc_net.c proc_net_seq_ops has no proc_read_iter.
template <class Call>
ssize_t copied_in_kernel(int from, Call call) noexcept {
    const ssize_t copied = call();
    if (copied != 0 || !is_daemons_file(from)) [[likely]]
        return copied;
    errno = EINVAL;
    return -1;
}

}  // namespace nlvs::shim
