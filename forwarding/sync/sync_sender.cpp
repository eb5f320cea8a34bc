#include "forwarding/sync/sync_sender.hpp"

#include <type_traits>

#include "forwarding/sync/sync_policy.hpp"

namespace nlvs::forwarding {

template <class F>
void SyncSender::sync(const PacketContext& context, Connection<F>& connection) noexcept {
    const bool old_version = context.settings.sysctls.sync_version == 0;
    if (old_version && !std::is_same_v<F, V4>) return;
    const bool announced =
        !connection.has(ConnectionFlags::one_packet) && is_due<F>(context, connection);
    if (announced) announce<F>(connection);
    // Linux: ip_vs_sync_conn_v0 — a template is told of together with a connection only.
    if (old_version && !announced) return;
    if (connection.persistence_template != TemplateId::none().value) {
        announce_template({connection.persistence_template}, context);
    }
}

template <class F>
bool SyncSender::is_due(const PacketContext& context, Connection<F>& connection) noexcept {
    const ipvs::Sysctls& sysctls = context.settings.sysctls;
    const Ticks now = context.now.ticks;
    std::uint32_t* stored = nullptr;
    if (sysctls.sync_refresh_period > 0) {
        stored = worker_.sync_ends.template at<F>(worker_.connections<F>().index_of(connection));
    }
    // Linux: ip_vs_conn_new — the history begins with the connection, whose slot is an older one's.
    if (stored != nullptr && connection.in_packets == 1) *stored = SyncEnd{now, 0}.stored();
    SyncSubject subject;
    subject.persistent = connection.persistence_template != TemplateId::none().value;
    subject.protocol = connection.protocol;
    subject.state = connection.state;
    subject.announced_state = connection.announced_state;
    subject.packets = connection.in_packets;
    subject.timeout = connection.timeout;
    if (stored != nullptr) subject.end = SyncEnd::from(*stored);
    const SyncDecision decision = decide_sync(subject, sysctls, now);
    if (!decision.announce) return false;
    connection.announced_state = connection.state & 0xF;
    if (stored != nullptr) *stored = decision.end.stored();
    return true;
}

template <class F>
void SyncSender::announce(const Connection<F>& connection) noexcept {
    SyncAnnouncement announcement;
    announcement.destination = connection.destination_id;
    announcement.timeout = connection.timeout;
    announcement.client = connection.client;
    announcement.virtual_address = connection.virtual_address;
    announcement.client_port = connection.client_port;
    announcement.virtual_port = connection.virtual_port;
    announcement.destination_port = connection.destination_port;
    announcement.flags =
        connection.flags & static_cast<std::uint16_t>(~ConnectionFlags::application);
    announcement.protocol = connection.protocol;
    announcement.state = connection.state;
    send(announcement);
}

void SyncSender::announce_template(TemplateId id, const PacketContext& context) noexcept {
    if (!shared_.templates.is_due(id, context.settings.sysctls, context.now.ticks)) return;
    SyncAnnouncement announcement;
    announcement.persistence_template = id;
    send(announcement);
}

void SyncSender::send(const SyncAnnouncement& announcement) noexcept {
    (worker_.mailbox.announce(announcement) ? worker_.counters.sync_announced
                                            : worker_.counters.sync_lost)
        .add(1);
}

template void SyncSender::sync<V4>(const PacketContext&, Connection<V4>&) noexcept;
template void SyncSender::sync<V6>(const PacketContext&, Connection<V6>&) noexcept;

}  // namespace nlvs::forwarding
