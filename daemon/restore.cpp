#include "daemon/restore.hpp"

#include "compat/procfs/sysctl.hpp"

namespace nlvs::daemon {
namespace {

struct Entries {
    ControlPlane& control;
    std::size_t& refused;

    void operator()(const ipvs::ServiceKey& key, const ipvs::ServiceSpec& spec) const {
        if (!control.add_service(key, spec)) ++refused;
    }

    void operator()(const StoredDestination& destination) const {
        if (!control.restore_destination(
                destination.service, destination.spec, destination.last_weight
            )) {
            ++refused;
        }
    }
};

void restore_sysctls(const JournalImage& image, ControlPlane& control, std::size_t& refused) {
    if (image.sysctls().empty()) return;
    ipvs::Sysctls values = control.sysctls();
    for (const auto& [name, text] : image.sysctls()) {
        const procfs::Sysctl* sysctl = procfs::find_sysctl(name);
        if (sysctl == nullptr || !procfs::write(*sysctl, text, values)) ++refused;
    }
    control.set_sysctls(values);
}

}  // namespace

void restore(const JournalImage& image, ControlPlane& control, const Log& log) {
    std::size_t refused = 0;
    restore_sysctls(image, control, refused);
    if (image.timeouts() && !control.set_timeouts(*image.timeouts())) ++refused;
    image.visit(Entries{control, refused});
    for (const ipvs::SyncDaemonConfig& daemon : image.sync_daemons()) {
        if (control.restore_daemon(daemon)) continue;
        log.warning("the sync daemon on {} is not started again", daemon.interface);
    }
    if (refused != 0) log.warning("{} entries of the journal mean nothing to this nlvsd", refused);
    if (image.services() == 0) return;
    log.notice("restored {} services with {} destinations", image.services(), image.destinations());
}

}  // namespace nlvs::daemon
