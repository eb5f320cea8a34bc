#pragma once

#include <string_view>

namespace nlvs::daemon {

/// Tells the service manager about a change of state ("READY=1", "STOPPING=1"), if one asked for
/// it by $NOTIFY_SOCKET. sd_notify(3) without its library; a manager that does not listen is its
/// own business, so failures are ignored.
void notify_service_manager(std::string_view state);

}  // namespace nlvs::daemon
