#include "daemon/procfs_files.hpp"

#include "compat/net/ip_protocol.hpp"
#include "compat/procfs/applications_text.hpp"
#include "compat/procfs/connections_text.hpp"
#include "compat/procfs/statistics_text.hpp"
#include "compat/procfs/sysctl.hpp"
#include "daemon/connection_lister.hpp"
#include "daemon/services_text.hpp"

#include <utility>

namespace nlvs::daemon {
namespace {

std::unique_ptr<TextSource> ready(std::string text) {
    return std::make_unique<ReadyText>(std::move(text));
}

/// Linux: ip_vs_app.c ip_vs_app_seq_show — the port registered last comes first.
std::string applications_text(const forwarding::FtpPorts& ftp, const WorkerGroup* workers) {
    std::string text{procfs::applications_header};
    for (std::size_t i = ftp.count; i-- > 0;) {
        const std::uint32_t users = workers != nullptr ? workers->control_connections(i) : 0;
        procfs::append_application(
            text, {static_cast<std::uint8_t>(net::IpProtocol::tcp), ftp.ports[i],
                   static_cast<std::int32_t>(users), "ftp"}
        );
    }
    return text;
}

/// Linux: ip_vs_lblc.c, ip_vs_lblcr.c — the files come with the modules, which the first service
/// with the scheduler loads and which stay.
std::function<bool()> exists_with_scheduler(const ControlPlane& control, std::string_view sysctl) {
    constexpr std::string_view suffix = "_expiration";
    if (!sysctl.ends_with(suffix)) return {};
    const std::string_view scheduler = sysctl.substr(0, sysctl.size() - suffix.size());
    return [&control, scheduler] { return control.registry().has_used_scheduler(scheduler); };
}

ProcfsFile sysctl_file(ControlPlane& control, const procfs::Sysctl& sysctl) {
    return {
        "/sys/net/ipv4/vs/" + std::string{sysctl.name},
        [&] { return ready(procfs::read(sysctl, control.sysctls())); },
        [&](std::string_view text) {
            ipvs::Sysctls values = control.sysctls();
            const auto written = procfs::write(sysctl, text, values);
            if (!written) return ipvs::to_errno(written.error(), ipvs::Door::netlink);
            control.set_sysctls(values);
            return 0;
        },
        exists_with_scheduler(control, sysctl.name)
    };
}

}  // namespace

std::vector<ProcfsFile> procfs_files(
    ControlPlane& control, WorkerMail& mail, WorkerGroup* workers, WorkerRowsText::Later later
) {
    std::vector<ProcfsFile> files{
        {"/net/ip_vs", [&] { return std::make_unique<ServicesText>(control); }, {}, {}},
        {"/net/ip_vs_app",
         [&control, workers] { return ready(applications_text(control.ftp_ports(), workers)); }, {}, {}},
        {"/net/ip_vs_conn",
         [&mail, workers] {
             return std::make_unique<ConnectionLister>(
                 mail, workers, procfs::connections_header, procfs::append_connection
             );
         },
         {}, {}},
        {"/net/ip_vs_conn_sync",
         [&mail, workers] {
             return std::make_unique<ConnectionLister>(
                 mail, workers, procfs::synced_connections_header,
                 procfs::append_synced_connection
             );
         },
         {}, {}},
        {"/net/ip_vs_stats", [&] { return ready(procfs::statistics_text(control.totals())); }, {}, {}},
        {"/net/ip_vs_stats_percpu",
         [&control, later = std::move(later)] {
             return std::make_unique<WorkerRowsText>(control, control.statistics(), later);
         },
         {}, {}},
    };
    for (const procfs::Sysctl& sysctl : procfs::sysctls()) {
        files.push_back(sysctl_file(control, sysctl));
    }
    return files;
}

}  // namespace nlvs::daemon
