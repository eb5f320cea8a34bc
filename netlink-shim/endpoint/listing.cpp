#include "netlink-shim/endpoint/listing.hpp"

namespace nlvs::shim {

namespace {

/// Whether the message that `append` wrote stays: it fits, or it is the datagram's first.
template <class Append>
bool append_within(Datagram& datagram, std::size_t size, Append append) {
    const std::size_t before = datagram.size();
    append();
    if (before == 0 || datagram.size() <= size) return true;
    datagram.resize(before);
    return false;
}

}  // namespace

Datagram ServiceDump::next(std::size_t size) {
    Datagram datagram;
    if (cursor_ == ipvs::Control::end) return datagram;
    cursor_ = control_.visit_services(cursor_, [&](const ipvs::ServiceView& service) {
        return append_within(datagram, size, [&] {
            ipvs_genl::append_service(datagram, context_, service);
        });
    });
    return datagram;
}

Datagram DestinationDump::next(std::size_t size) {
    Datagram datagram;
    if (!service_ || cursor_ == ipvs::Control::end) return datagram;
    cursor_ = control_.visit_destinations(
        *service_,
        cursor_,
        [&](const ipvs::DestinationView& destination) {
            return append_within(datagram, size, [&] {
                ipvs_genl::append_destination(datagram, context_, destination);
            });
        }
    );
    return datagram;
}

Datagram DaemonDump::next(std::size_t size) {
    Datagram datagram;
    // Linux: ip_vs_ctl.c ip_vs_genl_dump_daemons remembers each role, not a position.
    for (const ipvs::SyncDaemonConfig& daemon : control_.daemons()) {
        if ((shown_ & daemon.state) != 0) continue;
        const bool fits = append_within(datagram, size, [&] {
            ipvs_genl::append_daemon(datagram, context_, daemon);
        });
        if (!fits) break;
        shown_ |= daemon.state;
    }
    return datagram;
}

}  // namespace nlvs::shim
