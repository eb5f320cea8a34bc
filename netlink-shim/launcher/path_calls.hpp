#pragma once

#include "netlink-shim/launcher/notification.hpp"

namespace nlvs::shim {

/// open, stat and access in their variants: below /proc, what is ours is the daemon's file.
Answer answer_path(const Call& call);

/// sendfile: see preload/in_kernel_copy.hpp.
Answer answer_copy(const Call& call);

}  // namespace nlvs::shim
