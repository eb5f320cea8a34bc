#include "kni/neighbour_keeper.hpp"

#include "kni/rtnetlink/from_message.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>

#include <boost/system/system_error.hpp>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/utsname.h>

namespace nlvs::kni {
namespace {

int open_socket() {
    const int descriptor =
        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (descriptor < 0) {
        throw boost::system::system_error{
            errno, boost::system::system_category(), "cannot open a route netlink socket"};
    }
    return descriptor;
}

/// A message under construction; everything it holds is small and of known size.
class Request {
public:
    template <class Header>
    Request(std::uint16_t type, std::uint16_t flags, std::uint32_t sequence, const Header& header)
        : size_{sizeof(nlmsghdr)} {
        message_.nlmsg_type = type;
        message_.nlmsg_flags = flags;
        message_.nlmsg_seq = sequence;
        append(net::as_bytes_of(header));
    }

    void attribute(std::uint16_t type, std::span<const std::byte> payload) {
        const nlattr header{static_cast<std::uint16_t>(sizeof(nlattr) + payload.size()), type};
        append(net::as_bytes_of(header));
        append(payload);
    }

    std::span<const std::byte> bytes() {
        message_.nlmsg_len = static_cast<std::uint32_t>(size_);
        net::store(bytes_.data(), message_);
        return {bytes_.data(), size_};
    }

private:
    void append(std::span<const std::byte> bytes) {
        std::ranges::copy(bytes, bytes_.begin() + static_cast<std::ptrdiff_t>(size_));
        size_ += netlink::aligned(bytes.size());
    }

    nlmsghdr message_{};
    std::array<std::byte, 128> bytes_{};
    std::size_t size_;
};

/// An older kernel would ignore the flag and take the rest of the message for "forget it".
bool kernel_manages_neighbours() {
    utsname system{};
    unsigned major = 0;
    unsigned minor = 0;
    if (uname(&system) != 0 || std::sscanf(system.release, "%u.%u", &major, &minor) != 2)
        return false;
    return major > 5 || (major == 5 && minor >= 16);
}

}  // namespace

NeighbourKeeper::NeighbourKeeper(boost::asio::io_context& context)
    : socket_{context, open_socket()},
      timer_{context},
      managed_works_{kernel_manages_neighbours()} {
    wait();
    schedule();
}

NeighbourKeeper::~NeighbourKeeper() {
    stop();
}

void NeighbourKeeper::keep(const NeighbourKey& key) {
    kept_.insert(key);
    send(key, managed_works_ ? Order::create_managed : Order::use);
}

void NeighbourKeeper::release(const NeighbourKey& key) {
    // A "use" without the managed flag clears that flag.
    if (kept_.erase(key) != 0 && managed_works_) send(key, Order::use);
}

void NeighbourKeeper::probe(const NeighbourKey& key) {
    if (probed_.size() >= most_probed || !probed_.insert(key).second) return;
    // A kept one may have been refused, for want of room, or be between two attempts.
    send(key, kept_.contains(key) && managed_works_ ? Order::create_managed : Order::use);
}

void NeighbourKeeper::stop() {
    if (!socket_.is_open()) return;
    if (managed_works_) {
        for (const auto& key : kept_) send(key, Order::use);
    }
    kept_.clear();
    boost::system::error_code ignored;
    timer_.cancel(ignored);
    socket_.close(ignored);
}

void NeighbourKeeper::send(const NeighbourKey& key, Order order) {
    ndmsg header{};
    header.ndm_family = static_cast<std::uint8_t>(key.address.family());
    header.ndm_ifindex = static_cast<int>(key.interface);
    header.ndm_state = NUD_NONE;
    header.ndm_flags = order == Order::use ? NTF_USE : 0;
    const bool look = order == Order::look;
    std::uint16_t flags = NLM_F_REQUEST;
    if (!look) flags |= NLM_F_CREATE;
    if (order == Order::create_managed) flags |= NLM_F_EXCL;
    Request request{
        static_cast<std::uint16_t>(look ? RTM_GETNEIGH : RTM_NEWNEIGH), flags, ++sequence_, header};
    const auto address = std::as_bytes(std::span{key.address.bytes()});
    request.attribute(NDA_DST, address.first(key.address.bits() / 8));
    if (order == Order::manage || order == Order::create_managed) {
        const std::uint32_t extended = NTF_EXT_MANAGED;
        request.attribute(NDA_FLAGS_EXT, net::as_bytes_of(extended));
    }
    const auto bytes = request.bytes();
    // A neighbour of a vanished interface is nobody's loss; its removal is announced.
    [[maybe_unused]] const ssize_t sent =
        ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT);
}

void NeighbourKeeper::wait() {
    socket_.async_wait(
        boost::asio::posix::stream_descriptor::wait_read,
        [this](const boost::system::error_code& error) {
            if (error) return;
            receive();
            wait();
        }
    );
}

void NeighbourKeeper::receive() {
    std::array<std::byte, 8192> buffer;
    ssize_t size = 0;
    while ((size = recv(socket_.native_handle(), buffer.data(), buffer.size(), 0)) > 0) {
        netlink::Bytes rest{buffer.data(), static_cast<std::size_t>(size)};
        while (const auto message = netlink::take_message(rest)) {
            if (message->type() == NLMSG_ERROR) refused(*message);
            if (message->type() == RTM_NEWNEIGH) found(*message);
        }
    }
}

namespace {

std::optional<Neighbour> neighbour_in(const netlink::MessageView& message) {
    const auto event = event_from_message(message);
    const Neighbour* neighbour = event ? std::get_if<Neighbour>(&event->object) : nullptr;
    return neighbour != nullptr ? std::optional{*neighbour} : std::nullopt;
}

}  // namespace

/// The error carries the request. Linux: af_netlink.c netlink_ack.
void NeighbourKeeper::refused(const netlink::MessageView& error) {
    const auto code = net::extract<std::int32_t>(error.payload());
    const auto request = error.payload().size() > sizeof(*code)
                             ? netlink::MessageView::parse(error.payload().subspan(sizeof(*code)))
                             : std::nullopt;
    const auto neighbour = request ? neighbour_in(*request) : std::nullopt;
    if (code != -EEXIST || !neighbour) {
        ++refused_;
        return;
    }
    const NeighbourKey key{neighbour->interface, neighbour->address};
    if (kept_.contains(key)) send(key, Order::look);
}

void NeighbourKeeper::found(const netlink::MessageView& answer) {
    const auto neighbour = neighbour_in(answer);
    if (!neighbour || neighbour->permanent()) return;
    // The order also makes the kernel try at once what it has given up for the moment.
    if (neighbour->managed && neighbour->usable()) return;
    const NeighbourKey key{neighbour->interface, neighbour->address};
    if (kept_.contains(key)) send(key, Order::manage);
}

void NeighbourKeeper::schedule() {
    timer_.expires_after(probe_pause);
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (error) return;
        probed_.clear();
        if (!managed_works_ && ++ticks_ % static_cast<unsigned>(refresh / probe_pause) == 0) {
            for (const auto& key : kept_) send(key, Order::use);
        }
        schedule();
    });
}

}  // namespace nlvs::kni
