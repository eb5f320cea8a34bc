#include "daemon/sync_master.hpp"

#include <array>
#include <utility>

#include "forwarding/mailbox.hpp"

namespace nlvs::daemon {
namespace {

using ipvs_sync::Flags;

/// Linux: IPVS_SYNC_SEND_DELAY.
constexpr std::chrono::milliseconds look_period{20};
/// How long a message waits to be full. Linux: IPVS_SYNC_FLUSH_TIME.
constexpr std::chrono::seconds longest_wait{2};
/// Bounds one look, so that a flood of connections cannot hold the control thread for long.
constexpr std::size_t announcements_per_look = 64 * 1024;

std::uint32_t seconds_of(forwarding::Ticks ticks) noexcept {
    return ticks / forwarding::ticks_per_second;
}

/// Linux: ip_vs_bind_dest — a template has its destination's flags and is never counted active.
std::uint32_t template_flags(const forwarding::DestinationSlot& slot) noexcept {
    const auto method = slot.method.load(std::memory_order_relaxed);
    const bool masquerade = method == ipvs::ForwardingMethod::masquerade;
    return Flags::persistence_template | Flags::inactive | static_cast<std::uint32_t>(method) |
           (masquerade ? 0 : Flags::no_output);
}

}  // namespace

SyncMaster::SyncMaster(
    boost::asio::io_context& context, const ControlPlane& control,
    const std::vector<WorkerAccess>& access, WorkerGroup* workers,
    const ipvs::SyncDaemonConfig& config, std::vector<SyncSocket> sockets,
    SyncMasterCounters& counters
)
    : control_{control},
      access_{access},
      workers_{workers},
      counters_{counters},
      timer_{context} {
    for (SyncSocket& socket : sockets) {
        streams_.push_back(
            {std::move(socket), {config.max_length, config.sync_id}, {}, {}}
        );
    }
    // What workers announced to an earlier master, after its end, is out of date.
    std::array<forwarding::SyncAnnouncement, 64> stale;
    for (const WorkerAccess& worker : access_) {
        while (worker.mailbox->announced(stale) != 0) {
        }
    }
    if (workers_ != nullptr) {
        workers_->set_template_kept([this](forwarding::TemplateId id) { take(id); });
    }
    wait();
}

SyncMaster::~SyncMaster() {
    if (workers_ != nullptr) workers_->set_template_kept({});
    collect();
    for (Stream& stream : streams_) {
        if (!stream.builder.empty()) enqueue(stream);
        send(stream);
    }
}

void SyncMaster::wait() {
    timer_.expires_after(look_period);
    const std::weak_ptr<bool> alive = alive_;
    timer_.async_wait([this, alive](const boost::system::error_code& error) {
        if (error || alive.expired()) return;
        collect();
        const auto now = Clock::now();
        for (Stream& stream : streams_) {
            if (!stream.builder.empty() && now - stream.begun >= longest_wait) enqueue(stream);
            send(stream);
        }
        wait();
    });
}

void SyncMaster::collect() {
    std::array<forwarding::SyncAnnouncement, 256> announcements;
    for (const WorkerAccess& worker : access_) {
        for (std::size_t taken = 0; taken < announcements_per_look;) {
            const unsigned count = worker.mailbox->announced(announcements);
            for (unsigned i = 0; i < count; ++i) take(announcements[i]);
            taken += count;
            if (count < announcements.size()) break;
        }
    }
}

void SyncMaster::take(const forwarding::SyncAnnouncement& announcement) {
    if (!announcement.persistence_template.is_none()) {
        return take(announcement.persistence_template);
    }
    const forwarding::DestinationSlot* slot = control_.slot(announcement.destination);
    if (slot == nullptr) return;
    ipvs_sync::Connection connection;
    connection.protocol = announcement.protocol;
    connection.flags = announcement.flags;
    connection.state = announcement.state;
    connection.client = announcement.client;
    connection.virtual_address = announcement.virtual_address;
    connection.destination = slot->address;
    connection.client_port = announcement.client_port;
    connection.virtual_port = announcement.virtual_port;
    connection.destination_port = announcement.destination_port;
    connection.firewall_mark = control_.firewall_mark(announcement.destination);
    connection.timeout = seconds_of(announcement.timeout);
    tell(connection);
}

/// By now the number may be another template's, which loses nothing by being told.
void SyncMaster::take(forwarding::TemplateId id) {
    const auto known = workers_->templates().synced(id);
    if (!known) return;
    const forwarding::DestinationSlot* slot = control_.slot(known->destination);
    if (slot == nullptr) return;
    const ipvs::ConnectionView& view = known->view;
    ipvs_sync::Connection connection;
    connection.protocol = view.protocol;
    connection.flags = template_flags(*slot);
    connection.state = view.state;
    connection.client = view.client;
    connection.virtual_address = view.virtual_address;
    connection.destination = view.destination;
    connection.client_port = view.client_port;
    connection.virtual_port = view.virtual_port;
    connection.destination_port = view.destination_port;
    connection.firewall_mark = control_.firewall_mark(known->destination);
    connection.timeout = seconds_of(known->timeout);
    connection.engine = view.persistence_engine;
    connection.engine_data = view.persistence_data;
    tell(connection);
}

void SyncMaster::tell(const ipvs_sync::Connection& connection) {
    const std::uint64_t place = forwarding::mix(
        forwarding::hash_address(connection.client), connection.client_port.host()
    );
    Stream& stream = streams_[place % streams_.size()];
    const auto version = static_cast<ipvs_sync::Version>(control_.sysctls().sync_version);
    if (!stream.builder.add(connection, version)) {
        enqueue(stream);
        stream.builder.add(connection, version);
    }
    if (stream.builder.connections() == 1) stream.begun = Clock::now();
    ++counters_.connections;
}

void SyncMaster::enqueue(Stream& stream) {
    auto message = stream.builder.take();
    if (stream.queue.size() >= control_.sysctls().sync_qlen_max) {
        ++counters_.overflowed;
        return;
    }
    stream.queue.push_back(std::move(message));
}

void SyncMaster::send(Stream& stream) {
    while (!stream.queue.empty()) {
        const SyncSocket::Sent sent = stream.socket.send(stream.queue.front());
        if (sent == SyncSocket::Sent::later) return;
        ++(sent == SyncSocket::Sent::done ? counters_.messages : counters_.failed);
        stream.queue.pop_front();
    }
}

}  // namespace nlvs::daemon
