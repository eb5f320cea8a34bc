#pragma once

#include "netlink-shim/launcher/notification.hpp"

namespace nlvs::shim {

/// write, writev, sendto, sendmsg and sendmmsg on a watched descriptor. What is for a daemon is
/// sent on a copy of the socket, in the caller's place; everything else is the kernel's.
Answer answer_send(const Call& call);

}  // namespace nlvs::shim
