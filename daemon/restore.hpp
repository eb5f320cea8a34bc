#pragma once

#include "daemon/control_plane.hpp"
#include "daemon/journal_image.hpp"
#include "daemon/log.hpp"

namespace nlvs::daemon {

/// Makes `control`, which is empty, what the image says. Statistics start at zero. What cannot be
/// any more (a sync daemon whose interface is gone) is named in the log and left out.
void restore(const JournalImage& image, ControlPlane& control, const Log& log);

}  // namespace nlvs::daemon
