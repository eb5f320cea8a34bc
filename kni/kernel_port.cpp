#include "kni/kernel_port.hpp"

#include "forwarding/nic/netdev_request.hpp"
#include "kni/tap_kind.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace nlvs::kni {
namespace {

[[noreturn]] void fail(const std::string& what, int error) {
    throw std::runtime_error(what + ": " + std::strerror(error));
}

/// What the back end's driver would create itself. Always with several queues, so that the next
/// daemon can take the netdev over with another number of workers.
TapKind kind_of(KernelPort::Backend backend) {
    if (backend == KernelPort::Backend::tap) return {true, false, true};
    return {false, true, true};
}

std::string device_arguments(KernelPort::Backend backend, const KernelPortSettings& settings) {
    static std::atomic<unsigned> made{0};
    const std::string number = std::to_string(made++);
    if (backend == KernelPort::Backend::tap) {
        return "net_tap_shadow" + number + ",iface=" + settings.name +
               ",mac=" + net::print(settings.mac);
    }
    return "virtio_user" + number + ",path=/dev/vhost-net,iface=" + settings.name +
           ",queues=" + std::to_string(settings.queues) +
           ",queue_size=1024,mac=" + net::print(settings.mac);
}

}  // namespace

KernelPort::Backend KernelPort::preferred_backend(std::uint16_t queues) noexcept {
    const bool usable =
        queues >= fewest_virtio_queues && access("/dev/vhost-net", R_OK | W_OK) == 0;
    return usable ? Backend::virtio_user : Backend::tap;
}

std::string KernelPort::driver(Backend backend) {
    return backend == Backend::tap ? "net_tap" : "net_virtio";
}

KernelPort::KernelPort(const KernelPortSettings& settings, forwarding::BufferPool& pool)
    : name_{settings.name}, backend_{settings.backend}, keep_{settings.keep} {
    if (name_.empty() || name_.size() >= IFNAMSIZ) {
        throw std::runtime_error("\"" + name_ + "\" cannot be the name of a shadow interface");
    }
    if (forwarding::NetdevRequest::exists(name_)) take_over();
    if (backend_ == Backend::virtio_user && settings.queues < fewest_virtio_queues) {
        throw std::runtime_error(
            "the shadow interface " + name_ + (is_new_ ? "" : " that is left over") +
            " is one of vhost-net, which needs two workers" +
            (is_new_ ? " (backend = \"tap\" does not)" : "; 'ip link del " + name_ + "' removes it")
        );
    }
    open_netdev();
    try {
        port_ = std::make_unique<forwarding::EthernetPort>(
            forwarding::EthernetPortSettings{
                .device = device_arguments(backend_, settings),
                .queues = settings.queues,
                .descriptors = 512,
                .mtu = 0,
                .promiscuous = false,
                .all_multicast = false,
                .leave_running = settings.keep,
            },
            pool
        );
        forwarding::NetdevRequest{name_}.set_mtu(settings.mtu);
    } catch (...) {
        keep_ = keep_ && !is_new_;
        leave_netdev();
        throw;
    }
}

KernelPort::~KernelPort() {
    port_.reset();
    leave_netdev();
}

void KernelPort::leave_netdev() noexcept {
    if (!keep_) ioctl(tap_, TUNSETPERSIST, 0);
    close(tap_);
}

void KernelPort::take_over() {
    const auto kind = tap_kind(name_);
    const auto made_by = [&kind](Backend backend) { return kind == kind_of(backend); };
    // A driver would attach to another kind without complaint and misread every frame.
    if (!made_by(Backend::tap) && !made_by(Backend::virtio_user)) {
        throw std::runtime_error(
            "the shadow interface cannot be named " + name_ +
            ": a netdev of that name exists and is not one that nlvsd made"
        );
    }
    backend_ = made_by(Backend::tap) ? Backend::tap : Backend::virtio_user;
    is_new_ = false;
    was_down_ = (forwarding::NetdevRequest{name_}.flags() & IFF_UP) == 0;
}

void KernelPort::open_netdev() {
    const TapKind kind = kind_of(backend_);
    tap_ = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    if (tap_ < 0) fail("cannot open /dev/net/tun", errno);
    ifreq request{};
    std::copy_n(name_.c_str(), name_.size() + 1, request.ifr_name);
    const int flags = IFF_TAP | (kind.packet_information ? 0 : IFF_NO_PI) |
                      (kind.virtio_header ? IFF_VNET_HDR : 0) |
                      (kind.multi_queue ? IFF_MULTI_QUEUE : 0);
    request.ifr_flags = static_cast<short>(flags);
    if (ioctl(tap_, TUNSETIFF, &request) != 0) {
        const int error = errno;
        close(tap_);
        fail("cannot create the shadow interface " + name_, error);
    }
    ioctl(tap_, TUNSETPERSIST, 1);
    request.ifr_flags = IFF_DETACH_QUEUE;
    ioctl(tap_, TUNSETQUEUE, &request);
    index_ = static_cast<std::uint32_t>(forwarding::NetdevRequest{name_}.index());
}

void KernelPort::start() {
    port_->start();
    // One driver sets the netdev up in any case, the other never.
    forwarding::NetdevRequest{name_}.set_up(is_new_ || !was_down_);
}

void KernelPort::set_carrier(bool up) {
    if (up == has_carrier_) return;
    int value = up ? 1 : 0;
    if (ioctl(tap_, TUNSETCARRIER, &value) != 0) fail("cannot set the carrier of " + name_, errno);
    has_carrier_ = up;
}

void KernelPort::show(const forwarding::LinkStatus& link) {
    set_carrier(link.up);
    if (link == shown_) return;
    shown_ = link;
    // A kernel that does not take it shows what it always did.
    if (link.up) forwarding::NetdevRequest{name_}.set_link(link.speed, link.full_duplex);
}

}  // namespace nlvs::kni
