#include "daemon/status_reports.hpp"

#include <rte_lcore.h>
#include <sched.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <utility>
#include <vector>

#include "compat/net/mac_address.hpp"
#include "forwarding/mailbox.hpp"
#include "forwarding/nic/eal.hpp"
#include "forwarding/statistics/drop_reason.hpp"

namespace nlvs::daemon {
namespace {

using forwarding::WorkerRequest;

struct Connections {
    std::uint64_t count = 0;
    std::uint64_t memory = 0;
};

using CountedConnections = std::vector<Connections>;

/// Asks every worker; calls `done` when the last one has answered.
void count_connections(WorkerMail& mail, std::function<void(const CountedConnections&)> done) {
    struct Progress {
        CountedConnections counted;
        std::size_t missing;
        std::function<void(const CountedConnections&)> done;
    };
    const std::size_t workers = mail.workers();
    if (workers == 0) return done({});
    auto progress = std::make_shared<Progress>(CountedConnections(workers), workers, std::move(done));
    for (std::size_t worker = 0; worker < workers; ++worker) {
        auto request = std::make_unique<WorkerRequest>();
        request->kind = WorkerRequest::Kind::count_connections;
        mail.post(worker, std::move(request), [progress, worker](WorkerRequest& answer) {
            progress->counted[worker] = {answer.count, answer.memory};
            if (--progress->missing == 0) progress->done(progress->counted);
        });
    }
}

std::uint64_t resident_bytes() {
    std::ifstream stream{"/proc/self/statm"};
    std::uint64_t total = 0;
    std::uint64_t resident = 0;
    stream >> total >> resident;
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

double megabytes(std::uint64_t bytes) { return static_cast<double>(bytes) / (1024 * 1024); }

Report status(const StatusSources& sources, const CountedConnections& counted) {
    Connections all;
    for (const Connections& worker : counted) {
        all.count += worker.count;
        all.memory += worker.memory;
    }
    const auto uptime = std::chrono::duration_cast<std::chrono::seconds>(
        std::chrono::steady_clock::now() - sources.started
    );
    const ControlPlane& control = sources.control;
    const std::size_t ports = sources.data_plane != nullptr ? sources.data_plane->ports().size() : 0;
    const ipvs::Statistics totals = control.totals();
    return {{{
        "status",
        {"version", "pid", "uptime_seconds", "ports", "workers", "services_v4", "services_v6",
         "destinations", "connections", "connection_memory_mb", "resident_memory_mb",
         "connections_per_second", "in_packets_per_second", "out_packets_per_second"},
        {{sources.version, static_cast<std::uint64_t>(getpid()),
          static_cast<std::uint64_t>(uptime.count()), std::uint64_t{ports},
          std::uint64_t{sources.mail.workers()},
          std::uint64_t{control.count_services(ipvs::Family::inet)},
          std::uint64_t{control.count_services(ipvs::Family::inet6)},
          std::uint64_t{control.destinations_in_use()}, all.count, megabytes(all.memory),
          megabytes(resident_bytes()), totals.rates.connections, totals.rates.in_packets,
          totals.rates.out_packets}},
        true
    }}};
}

/// "2" or "0-3,8": where the worker's thread may run.
std::string cpus_of(forwarding::WorkerId worker) {
    const rte_cpuset_t cpus = rte_lcore_cpuset(forwarding::Eal::lcore_of(worker));
    std::string text;
    for (int first = 0; first < CPU_SETSIZE; ++first) {
        if (!CPU_ISSET(first, &cpus)) continue;
        int last = first;
        while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &cpus)) ++last;
        if (!text.empty()) text += ',';
        text += std::to_string(first);
        if (last != first) text += '-' + std::to_string(last);
        first = last;
    }
    return text;
}

Report workers(const StatusSources& sources, const CountedConnections& counted) {
    Report::Table table{
        "workers",
        {"worker", "cpus", "connections", "memory_mb", "opened", "expired", "balanced", "routed", "handed_over",
         "taken_over", "busy_percent", "sleeps"},
        {},
        false
    };
    for (std::size_t i = 0; i < counted.size(); ++i) {
        const auto& counters =
            sources.data_plane->workers().worker(static_cast<forwarding::WorkerId>(i)).counters;
        const auto busy = static_cast<double>(counters.busy_cycles.read());
        const auto idle = static_cast<double>(counters.idle_cycles.read());
        table.rows.push_back(
            {std::uint64_t{i}, cpus_of(static_cast<forwarding::WorkerId>(i)), counted[i].count,
             megabytes(counted[i].memory), counters.opened.read(), counters.expired.read(), counters.balanced.read(), counters.routed.read(),
             counters.handed_over.read(), counters.taken_over.read(),
             busy + idle > 0 ? 100 * busy / (busy + idle) : 0.0, counters.sleeps.read()}
        );
    }
    return {{std::move(table)}};
}

Report ports(DataPlane* data_plane) {
    Report::Table table{
        "ports",
        {"port", "shadow", "device", "mac", "mtu", "link", "received", "transmitted", "punted",
         "injected", "missed", "errors"},
        {},
        false
    };
    const std::size_t count = data_plane != nullptr ? data_plane->ports().size() : 0;
    for (std::size_t i = 0; i < count; ++i) {
        const DataPlane::Port& port = data_plane->ports()[i];
        std::uint64_t received = 0, transmitted = 0, punted = 0, injected = 0;
        for (forwarding::WorkerId id = 0; id < data_plane->workers().size(); ++id) {
            const auto& counters = data_plane->workers().worker(id).counters.ports[i];
            received += counters.received.read();
            transmitted += counters.transmitted.read();
            punted += counters.punted.read();
            injected += counters.injected.read();
        }
        const auto device = port.nic->statistics();
        table.rows.push_back(
            {std::uint64_t{i}, port.shadow->name(), port.nic->device(), net::print(port.nic->mac()),
             std::uint64_t{port.nic->mtu()}, port.nic->link().up, received, transmitted, punted,
             injected, device.missed, device.receive_errors + device.transmit_errors}
        );
    }
    return {{std::move(table)}};
}

Report drops(DataPlane* data_plane) {
    Report::Table dropped{"drops", {"reason", "packets"}, {}, false};
    Report::Table policed{"punt", {"class", "admitted", "refused"}, {}, false};
    const forwarding::WorkerId workers = data_plane != nullptr ? data_plane->workers().size() : 0;
    for (std::size_t reason = 0; reason < forwarding::drop_reasons; ++reason) {
        std::uint64_t packets = 0;
        for (forwarding::WorkerId id = 0; id < workers; ++id) {
            packets += data_plane->workers().worker(id).counters.drops[reason].read();
        }
        dropped.rows.push_back({std::string{forwarding::drop_reason_names[reason]}, packets});
    }
    for (std::size_t i = 0; i < forwarding::punt_classes; ++i) {
        std::uint64_t admitted = 0, refused = 0;
        for (forwarding::WorkerId id = 0; id < workers; ++id) {
            const auto& policer = data_plane->workers().worker(id).policer;
            admitted += policer.admitted(static_cast<forwarding::PuntClass>(i)).read();
            refused += policer.refused(static_cast<forwarding::PuntClass>(i)).read();
        }
        policed.rows.push_back({std::string{forwarding::punt_class_names[i]}, admitted, refused});
    }
    return {{std::move(dropped), std::move(policed)}};
}

/// Who routes what belongs to no service, and why.
Report::Table plain_routing(const KernelFollower& kernel) {
    Report::Table table{"routing", {"family", "by_engine", "reason"}, {}, false};
    for (const auto family : {net::Family::inet, net::Family::inet6}) {
        bool forwards = false;
        std::string reason = "routing.in_engine is false";
        if (kernel.router()) {
            const kni::RouterState& state = kernel.router()->state();
            for (const auto& [index, interface] : state.interfaces) {
                forwards = forwards || state.forwards(family, index);
            }
            reason = state.obstacle(family);
            if (!forwards && reason.empty()) reason = "forwarding is off";
        }
        table.rows.push_back({std::string{family == net::Family::inet ? "ipv4" : "ipv6"}, forwards, reason});
    }
    return table;
}

Report mirror(const KernelFollower* kernel) {
    Report::Table table{
        "mirror",
        {"synchronised", "links", "addresses", "routes_v4", "routes_v6", "neighbours",
         "next_hops", "rules", "unsupported_rules", "tracked_destinations", "memory_mb", "messages",
         "behind_bytes", "overflows", "resyncs", "redumps"},
        {},
        true
    };
    if (kernel == nullptr) return {{{"mirror", {"mirror"}, {{std::string{"none: no ports"}}}, true}}};
    const kni::KernelState& state = kernel->mirror().state();
    const kni::MonitorCounters& counters = kernel->monitor().counters();
    table.rows.push_back(
        {kernel->monitor().synchronised(), std::uint64_t{state.links.size()},
         std::uint64_t{state.addresses.size()}, kernel->mirror().routes(net::Family::inet),
         kernel->mirror().routes(net::Family::inet6), std::uint64_t{state.neighbours.size()},
         std::uint64_t{state.next_hops.size()}, std::uint64_t{state.rules.size()},
         std::uint64_t{kernel->routes().foreign_rules()}, std::uint64_t{kernel->routes().tracked()},
         megabytes(kernel->routes().memory()), counters.messages,
         std::uint64_t{kernel->monitor().behind()}, counters.overflows, counters.resyncs,
         counters.redumps}
    );
    Report::Table ignored{"ignored", {"messages_about", "count"}, {}, false};
    for (std::size_t i = 0; i < kni::ignored_reasons; ++i) {
        const auto reason = static_cast<kni::Ignored>(i);
        ignored.rows.push_back({std::string{kni::name_of(reason)}, counters.ignored[i]});
    }
    Report::Table devices{"devices", {"device", "kind", "reason"}, {}, false};
    for (const RefusedDevice& refused : kernel->routes().refused()) {
        devices.rows.push_back({refused.device, refused.kind, refused.reason});
    }
    return {{std::move(table), std::move(ignored), plain_routing(*kernel), std::move(devices)}};
}

/// What becomes of the kernel's rules that set firewall marks.
Report marks(const StatusSources& sources) {
    if (sources.kernel == nullptr) return {{{"marks", {"marks"}, {{std::string{"none: no ports"}}}, true}}};
    const MarkPublisher& publisher = sources.kernel->marks();
    const nftables::MonitorCounters& counters = publisher.monitor().counters();
    std::uint64_t asked = 0, undecided = 0;
    for (forwarding::WorkerId id = 0; id < sources.data_plane->workers().size(); ++id) {
        const auto& worker = sources.data_plane->workers().worker(id).counters;
        asked += worker.marks_asked.read();
        undecided += worker.marks_undecided.read();
    }
    Report::Table rules{"rules", {"family", "table", "chain", "handle", "followed", "reason"}, {}, false};
    for (const MarkRule& rule : publisher.rules()) {
        rules.rows.push_back(
            {std::string{name_of_family(rule.family)}, rule.table, rule.chain, rule.handle,
             rule.reason.empty(), rule.reason.empty() ? std::string{"-"} : rule.reason}
        );
    }
    const std::string& error = publisher.monitor().error();
    Report::Table state{
        "marks",
        {"rules_known", "generation", "rules", "packets_asked", "packets_undecided", "announcements",
         "overflows", "reads", "failed_reads"},
        {{error.empty() ? std::string{"yes"} : error, std::uint64_t{publisher.generation()},
          std::uint64_t{publisher.rules().size()}, asked, undecided, counters.announcements,
          counters.overflows, counters.reads, counters.failures}},
        true
    };
    return {{std::move(state), std::move(rules)}};
}

/// What the sync daemons have done since nlvsd started.
Report sync(const StatusSources& sources) {
    std::uint64_t announced = 0, lost = 0, taken = 0, refused = 0;
    const forwarding::WorkerId workers =
        sources.data_plane != nullptr ? sources.data_plane->workers().size() : 0;
    for (forwarding::WorkerId id = 0; id < workers; ++id) {
        const auto& worker = sources.data_plane->workers().worker(id).counters;
        announced += worker.sync_announced.read();
        lost += worker.sync_lost.read();
        taken += worker.sync_taken.read();
        refused += worker.sync_refused.read();
    }
    const SyncMasterCounters& master = sources.sync.master();
    const SyncBackupCounters& backup = sources.sync.backup();
    Report::Table daemons{"daemons", {"role", "interface", "sync_id", "group", "port"}, {}, false};
    for (const ipvs::SyncDaemonConfig& one : sources.control.daemons()) {
        daemons.rows.push_back(
            {std::string{one.state == 1 ? "master" : "backup"}, one.interface,
             std::uint64_t{one.sync_id}, net::print(one.group), std::uint64_t{one.port}}
        );
    }
    return {{{
        "sync",
        {"announced", "lost", "told", "messages_sent", "messages_failed", "messages_overflowed",
         "messages_received", "messages_malformed", "messages_foreign", "connections_received",
         "templates_received", "unbound", "taken", "refused"},
        {{announced, lost, master.connections, master.messages, master.failed, master.overflowed,
          backup.messages, backup.malformed, backup.foreign, backup.connections, backup.templates,
          backup.unbound, taken, backup.refused + refused}},
        true
    }, std::move(daemons)}};
}

}  // namespace

void add_reports(StatusServer& server, const StatusSources& sources) {
    server.add("status", [sources](StatusServer::Done done) {
        count_connections(sources.mail, [sources, done](const CountedConnections& counted) {
            done(status(sources, counted));
        });
    });
    server.add("workers", [sources](StatusServer::Done done) {
        count_connections(sources.mail, [sources, done](const CountedConnections& counted) {
            done(workers(sources, counted));
        });
    });
    server.add("ports", [sources](StatusServer::Done done) { done(ports(sources.data_plane)); });
    server.add("mirror", [sources](StatusServer::Done done) { done(mirror(sources.kernel)); });
    server.add("drops", [sources](StatusServer::Done done) { done(drops(sources.data_plane)); });
    server.add("sync", [sources](StatusServer::Done done) { done(sync(sources)); });
    server.add("marks", [sources](StatusServer::Done done) { done(marks(sources)); });
}

}  // namespace nlvs::daemon
