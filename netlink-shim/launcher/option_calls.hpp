#pragma once

#include "netlink-shim/launcher/notification.hpp"

namespace nlvs::shim {

/// getsockopt and setsockopt with an IP_VS_SO_* number.
Answer answer_get_option(const Call& call);
Answer answer_set_option(const Call& call);

}  // namespace nlvs::shim
