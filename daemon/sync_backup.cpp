#include "daemon/sync_backup.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "compat/ipvs_sync/decoder.hpp"

namespace nlvs::daemon {
namespace {

/// Datagrams in a row from one socket; then everybody else on the loop has a turn.
constexpr int datagrams_per_turn = 64;
/// Requests that workers may have waiting before reading stops.
constexpr std::size_t most_outstanding = 64;
/// Linux: ip_vs_proc_conn, a template without timeout.
constexpr std::uint32_t template_seconds = 3 * 60;
constexpr std::string_view known_engine = "sip";

/// What the wheel can hold is longer than any timeout that the kernel accepts.
forwarding::Ticks to_ticks(std::uint32_t seconds) noexcept {
    constexpr std::uint32_t longest = 8'589'934;
    return std::min(seconds, longest) * forwarding::ticks_per_second;
}

std::uint16_t own_workers(const WorkerMail& mail) {
    return static_cast<std::uint16_t>(std::max<std::size_t>(mail.workers(), 1));
}

}  // namespace

SyncBackup::SyncBackup(
    boost::asio::io_context& context, ControlPlane& control, WorkerMail& mail,
    WorkerGroup* workers, const ipvs::SyncDaemonConfig& config, std::vector<SyncSocket> sockets,
    SyncBackupCounters& counters
)
    : control_{control},
      mail_{mail},
      workers_{workers},
      counters_{counters},
      sync_id_{config.sync_id},
      steering_{workers != nullptr ? workers->steering() : forwarding::Steering{own_workers(mail)}},
      buffer_(config.max_length),
      batches_(mail.workers()),
      self_{std::make_shared<SyncBackup*>(this)} {
    for (SyncSocket& socket : sockets) {
        listeners_.push_back(std::make_unique<Listener>(context, std::move(socket)));
        wait(*listeners_.back());
    }
}

void SyncBackup::wait(Listener& listener) {
    listener.waiting = true;
    const std::weak_ptr<SyncBackup*> alive = self_;
    listener.descriptor.async_wait(
        Socket::wait_read,
        [this, &listener, alive](const boost::system::error_code& error) {
            if (error || alive.expired()) return;
            listener.waiting = false;
            read(listener);
            if (outstanding_ < most_outstanding) wait(listener);
        }
    );
}

void SyncBackup::read(Listener& listener) {
    for (int i = 0; i < datagrams_per_turn; ++i) {
        // A datagram that does not fit is cut, and then its length is not what its header says.
        const ssize_t size =
            recv(listener.descriptor.native_handle(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (size < 0) break;
        const auto decoded = ipvs_sync::decode(
            {buffer_.data(), static_cast<std::size_t>(size)}, sync_id_,
            [this](const ipvs_sync::Connection& connection) { take(connection); }
        );
        const bool ours = decoded.verdict != ipvs_sync::Verdict::not_ours;
        ++(ours ? counters_.messages : counters_.foreign);
        if (decoded.verdict == ipvs_sync::Verdict::malformed) ++counters_.malformed;
        counters_.refused += decoded.skipped;
    }
    hand_out();
}

void SyncBackup::take(const ipvs_sync::Connection& connection) {
    const bool strange_engine =
        !connection.engine_data.empty() && connection.engine != known_engine;
    const auto found = strange_engine ? std::nullopt : control_.destination_of(connection);
    if (!found) {
        ++counters_.refused;
        return;
    }
    const forwarding::DestinationSlot* slot = control_.slot(*found);
    if (slot->unbound) ++counters_.unbound;
    if (connection.is_template()) return take_template(connection, *found);
    ++counters_.connections;
    if (workers_ == nullptr) return;
    forwarding::SyncedConnection synced;
    synced.client = connection.client;
    synced.virtual_address = connection.virtual_address;
    synced.destination = connection.destination;
    synced.client_port = connection.client_port;
    synced.virtual_port = connection.virtual_port;
    synced.destination_port = connection.destination_port;
    synced.flags = static_cast<std::uint16_t>(connection.flags);
    synced.protocol = connection.protocol;
    synced.state = static_cast<std::uint8_t>(connection.state);
    synced.destination_id = *found;
    synced.timeout = to_ticks(connection.timeout);
    const forwarding::WorkerId owner =
        synced.client.is_v4() ? steering_.owner(synced.client.v4(), synced.client_port)
                              : steering_.owner(synced.client.v6(), synced.client_port);
    batches_[owner].push_back(synced);
}

void SyncBackup::take_template(
    const ipvs_sync::Connection& connection, forwarding::DestinationId id
) {
    ++counters_.templates;
    if (workers_ == nullptr) return;
    const forwarding::TemplateKey key{
        connection.protocol, connection.client, connection.virtual_address,
        connection.virtual_port, connection.engine, connection.engine_data
    };
    const std::uint32_t seconds = connection.timeout != 0 ? connection.timeout : template_seconds;
    const forwarding::PersistenceTable::Proposal proposal{
        id, connection.destination_port, to_ticks(seconds), false
    };
    if (!workers_->take_template(key, proposal, connection.state != 0 ? 1 : 0)) {
        ++counters_.refused;
    }
}

void SyncBackup::hand_out() {
    for (std::size_t worker = 0; worker < batches_.size(); ++worker) {
        if (batches_[worker].empty()) continue;
        auto request = std::make_unique<forwarding::WorkerRequest>();
        request->kind = forwarding::WorkerRequest::Kind::take_connections;
        request->synced = std::exchange(batches_[worker], {});
        ++outstanding_;
        const std::weak_ptr<SyncBackup*> alive = self_;
        mail_.post(worker, std::move(request), [alive](forwarding::WorkerRequest&) {
            if (const auto backup = alive.lock()) (*backup)->handed_out();
        });
    }
}

void SyncBackup::handed_out() {
    if (--outstanding_ >= most_outstanding) return;
    for (const auto& listener : listeners_) {
        if (!listener->waiting) wait(*listener);
    }
}

}  // namespace nlvs::daemon
