#pragma once

#include "netlink-shim/launcher/notification.hpp"

namespace nlvs::shim {

/// read, readv, recvfrom, recvmsg and recvmmsg on a watched descriptor: received on a copy of the
/// socket and handed over with port 0 for the daemon's. The wait for a message is ours, so that
/// nothing is taken from the socket before it can be delivered; a signal ends it, and the kernel
/// then does with the call what it does with an interrupted one.
Answer answer_receive(const Call& call);

}  // namespace nlvs::shim
