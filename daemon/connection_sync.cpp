#include "daemon/connection_sync.hpp"

#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace nlvs::daemon {
namespace {

constexpr std::int32_t most_threads = 64;
constexpr std::chrono::seconds retry_period{1};

/// Linux: ip_vs_ctl.c ip_vs_control_net_init_sysctl — a 32nd of the free pages.
std::uint64_t default_queue_length() {
    struct sysinfo info {};
    if (::sysinfo(&info) != 0) return 1024;
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    return std::uint64_t{info.freeram} * info.mem_unit / page / 32;
}

const char* name_of(SyncRole role) { return role == SyncRole::master ? "master" : "backup"; }

}  // namespace

ConnectionSync::ConnectionSync(
    boost::asio::io_context& context, ControlPlane& control, WorkerMail& mail,
    std::vector<WorkerAccess> access, WorkerGroup* workers, const Log& log
)
    : context_{context},
      control_{control},
      mail_{mail},
      access_{std::move(access)},
      workers_{workers},
      log_{log},
      timer_{context} {
    ipvs::Sysctls sysctls = control.sysctls();
    sysctls.sync_qlen_max = default_queue_length();
    control.set_sysctls(sysctls);
    control.set_sync_runner(this);
}

ConnectionSync::~ConnectionSync() { control_.set_sync_runner(nullptr); }

ipvs::Result<void> ConnectionSync::start(const ipvs::SyncDaemonConfig& config, SyncRoute route) {
    if (!master_ && !backup_ && waiting_.empty()) {
        const std::int32_t ports = std::clamp(control_.sysctls().sync_ports, 1, most_threads);
        threads_ = static_cast<std::uint16_t>(ports);
    }
    const auto begun = begin(config);
    if (begun || route == SyncRoute::asked) return begun;
    waiting_.push_back(config);
    if (waiting_.size() == 1) try_again();
    return {};
}

ipvs::Result<void> ConnectionSync::begin(const ipvs::SyncDaemonConfig& config) {
    auto sockets = open(config);
    if (!sockets) return std::unexpected{sockets.error()};
    if (config.state == static_cast<std::uint32_t>(SyncRole::master)) {
        master_.emplace(
            context_, control_, access_, workers_, config, std::move(*sockets), master_counters_
        );
    } else {
        backup_.emplace(
            context_, control_, mail_, workers_, config, std::move(*sockets), backup_counters_
        );
    }
    log_.notice(
        "sync {} on {} with sync id {}", name_of(static_cast<SyncRole>(config.state)),
        config.interface, config.sync_id
    );
    return {};
}

ipvs::Result<std::vector<SyncSocket>> ConnectionSync::open(
    const ipvs::SyncDaemonConfig& config
) const {
    const bool master = config.state == static_cast<std::uint32_t>(SyncRole::master);
    const std::int32_t buffer = control_.sysctls().sync_sock_size;
    std::vector<SyncSocket> sockets;
    for (std::uint16_t thread = 0; thread < threads_; ++thread) {
        auto socket = master ? SyncSocket::sender(config, thread, buffer)
                             : SyncSocket::receiver(config, thread, buffer);
        if (!socket) return std::unexpected{socket.error()};
        sockets.push_back(std::move(*socket));
    }
    return sockets;
}

void ConnectionSync::stop(SyncRole role) {
    std::erase_if(waiting_, [role](const ipvs::SyncDaemonConfig& config) {
        return config.state == static_cast<std::uint32_t>(role);
    });
    if (role == SyncRole::master) {
        master_.reset();
    } else {
        backup_.reset();
    }
    log_.notice("sync {} stopped", name_of(role));
}

void ConnectionSync::try_again() {
    timer_.expires_after(retry_period);
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        std::erase_if(waiting_, [this](const ipvs::SyncDaemonConfig& config) {
            return begin(config).has_value();
        });
        if (!waiting_.empty()) try_again();
    });
}

}  // namespace nlvs::daemon
