#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "daemon/command_line.hpp"
#include "daemon/connection_sync.hpp"
#include "daemon/control_plane.hpp"
#include "daemon/data_plane.hpp"
#include "daemon/doors.hpp"
#include "daemon/journal.hpp"
#include "daemon/kernel_follower.hpp"
#include "daemon/link_counter_file.hpp"
#include "daemon/log.hpp"
#include "daemon/maintenance.hpp"
#include "daemon/options.hpp"
#include "daemon/packet_capture.hpp"
#include "daemon/restore.hpp"
#include "daemon/service_notification.hpp"
#include "daemon/status_reports.hpp"
#include "daemon/status_server.hpp"
#include "daemon/untracked_destinations.hpp"
#include "daemon/worker_mail.hpp"
#include "forwarding/config/configuration.hpp"
#include "netlink-shim/core/protocol.hpp"
#include "netlink-shim/endpoint/runtime_file.hpp"
#include "netlink-shim/endpoint/survivor.hpp"

namespace nlvs::daemon {
namespace {

JournalSettings journal_settings(
    const Options& options, const shim::RuntimeDirectory& directory, bool fresh
) {
    JournalSettings settings{directory.path(), false, options.journal_sync, fresh, current_origin()};
    const char* variable = std::getenv(JournalSettings::directory_variable);
    const bool named = variable != nullptr && variable[0] == '/';
    if (!named && !options.journal_directory) return settings;
    settings.directory = named ? variable : *options.journal_directory;
    settings.permanent = true;
    return settings;
}

std::vector<PacketCapture::Port> capture_ports(const std::optional<DataPlane>& data_plane) {
    std::vector<PacketCapture::Port> ports;
    if (!data_plane) return ports;
    for (const DataPlane::Port& port : data_plane->ports()) {
        ports.push_back({port.shadow->name(), port.nic->device()});
    }
    return ports;
}

void serve(const Options& options, bool fresh, const Log& log) {
    if (options.run_directory) {
        setenv(shim::run_directory_variable, options.run_directory->c_str(), /*replace=*/0);
    }
    shim::Survivor survivor;  // first: what is open from here on ends with the daemon
    const shim::RuntimeDirectory directory;
    Journal journal{journal_settings(options, directory, fresh), log};
    boost::asio::io_context context{1};  // one thread: control state needs no locks
    // First, so that an end asked for during the start finds everything put away, too.
    boost::asio::signal_set signals{context, SIGINT, SIGTERM};
    signals.async_wait([&](const boost::system::error_code&, int) { context.stop(); });
    forwarding::QuiescentState quiescence;
    forwarding::Reclaimer reclaimer{quiescence};
    const auto configuration = std::make_unique<forwarding::Configuration>();
    configuration->ftp_ports = options.ftp_ports;
    std::optional<DataPlane> data_plane;
    std::vector<WorkerAccess> workers;
    if (!options.ports.empty()) {
        data_plane.emplace(options, *configuration, quiescence, log);
        workers = data_plane->workers().access();
    }
    UntrackedDestinations untracked;
    std::optional<KernelFollower> kernel;
    if (data_plane) {
        kernel.emplace(
            context, *configuration, reclaimer, *data_plane, options.routes_packets, log
        );
        kernel->start();
    }
    DestinationTracker& destinations = kernel ? kernel->destinations() : untracked;
    ControlPlane control{*configuration, reclaimer, workers, destinations};
    WorkerMail mail{context, workers};
    WorkerGroup* const group = data_plane ? &data_plane->workers() : nullptr;
    const ConnectionSync sync{context, control, mail, workers, group, log};
    restore(journal.take_image(), control, log);
    journal.follow(control);
    const Maintenance maintenance{context, control, reclaimer, journal};
    control.set_expire_connections([&mail] { mail.expire_unavailable(); });

    PacketCapture capture{context, mail, capture_ports(data_plane)};
    StatusServer status{context, directory.path()};
    status.add_stream("capture", [&capture](std::string_view words, StatusServer::Socket client) {
        capture.begin(words, std::move(client));
    });
    add_reports(
        status, {control, mail, sync, data_plane ? &*data_plane : nullptr,
                 kernel ? &*kernel : nullptr, NLVS_VERSION}
    );
    std::optional<LinkCounterFile> link_counters;
    if (data_plane) link_counters.emplace(context, directory.path(), *data_plane);
    const Doors doors{
        context, directory, control, mail, group, survivor, log
    };
    log.notice("serving IPVS, state in {}", directory.path().string());
    if (data_plane) data_plane->workers().start();
    notify_service_manager("READY=1");
    context.run();
    notify_service_manager("STOPPING=1");
    if (data_plane) data_plane->workers().stop();
    log.notice("stopped");
}

int run(std::span<char* const> arguments) {
    const CommandLine command_line = parse_command_line(arguments);
    fmt::print("{}", command_line.answer);
    if (!command_line.answer.empty()) return EXIT_SUCCESS;
    const Options options = load_options(command_line);
    if (command_line.check) return EXIT_SUCCESS;
    const auto target = command_line.foreground ? LogTarget::plain : options.log_target;
    serve(options, command_line.fresh, Log{options.log_level, target});
    return EXIT_SUCCESS;
}

}  // namespace
}  // namespace nlvs::daemon

int main(int argc, char** argv) {
    try {
        return nlvs::daemon::run({argv, static_cast<std::size_t>(argc)});
    } catch (const std::exception& error) {
        fmt::print(stderr, "nlvsd: {}\n", error.what());
        return EXIT_FAILURE;
    }
}
