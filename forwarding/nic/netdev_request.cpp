#include "forwarding/nic/netdev_request.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace nlvs::forwarding {
namespace {

/// ethtool_link_settings with room for the three bitmaps that follow it.
class LinkSettings {
public:
    ethtool_link_settings& head() noexcept {
        return *static_cast<ethtool_link_settings*>(address());
    }

    void* address() noexcept { return bytes_.data(); }

private:
    static constexpr std::size_t most_words = 127;

    alignas(ethtool_link_settings)
        std::array<std::byte, sizeof(ethtool_link_settings) + 3 * most_words * 4> bytes_{};
};

/// The kernel says first how many words its bitmaps have, as a negative number.
/// Linux: net/ethtool/ioctl.c ethtool_get_link_ksettings.
template <class Ask>
bool ask_link_settings(LinkSettings& link, Ask&& ask) {
    link.head().cmd = ETHTOOL_GLINKSETTINGS;
    if (!ask(link.address()) || link.head().link_mode_masks_nwords >= 0) return false;
    const auto words = static_cast<std::int8_t>(-link.head().link_mode_masks_nwords);
    link = {};
    link.head().cmd = ETHTOOL_GLINKSETTINGS;
    link.head().link_mode_masks_nwords = words;
    return ask(link.address()) && link.head().link_mode_masks_nwords == words;
}

}  // namespace

NetdevRequest::NetdevRequest(const std::string& name)
    : name_{name}, socket_{socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)} {
    if (socket_ < 0)
        throw std::runtime_error(std::string{"cannot open a socket: "} + std::strerror(errno));
    if (name.empty() || name.size() >= IFNAMSIZ || !exists(name)) {
        close(socket_);
        throw std::runtime_error("no netdev named " + name);
    }
}

NetdevRequest::~NetdevRequest() {
    close(socket_);
}

void NetdevRequest::call(unsigned long request, const char* what) {
    std::copy_n(name_.c_str(), name_.size() + 1, request_.ifr_name);
    if (ioctl(socket_, request, &request_) != 0) {
        throw std::runtime_error(
            std::string{"cannot "} + what + " " + name_ + ": " + std::strerror(errno)
        );
    }
}

int NetdevRequest::index() {
    call(SIOCGIFINDEX, "find");
    return request_.ifr_ifindex;
}

unsigned NetdevRequest::flags() {
    call(SIOCGIFFLAGS, "read the flags of");
    return static_cast<unsigned short>(request_.ifr_flags);
}

net::MacAddress NetdevRequest::mac() {
    call(SIOCGIFHWADDR, "read the address of");
    net::MacAddress mac;
    std::memcpy(mac.bytes.data(), request_.ifr_hwaddr.sa_data, mac.bytes.size());
    return mac;
}

std::uint16_t NetdevRequest::mtu() {
    call(SIOCGIFMTU, "read the MTU of");
    return static_cast<std::uint16_t>(std::min(request_.ifr_mtu, 0xFFFF));
}

bool NetdevRequest::ask_ethtool(void* command) noexcept {
    request_.ifr_data = static_cast<char*>(command);
    std::copy_n(name_.c_str(), name_.size() + 1, request_.ifr_name);
    return ioctl(socket_, SIOCETHTOOL, &request_) == 0;
}

std::string NetdevRequest::driver() {
    ethtool_drvinfo information{};
    information.cmd = ETHTOOL_GDRVINFO;
    return ask_ethtool(&information) ? information.driver : std::string{};
}

std::pair<std::uint32_t, bool> NetdevRequest::link() {
    LinkSettings link;
    if (!ask_link_settings(link, [this](void* command) { return ask_ethtool(command); })) {
        return {0, true};
    }
    const bool known = link.head().speed != static_cast<std::uint32_t>(SPEED_UNKNOWN);
    return {known ? link.head().speed : 0, link.head().duplex != DUPLEX_HALF};
}

bool NetdevRequest::set_link(std::uint32_t speed, bool full_duplex) {
    LinkSettings link;
    if (!ask_link_settings(link, [this](void* command) { return ask_ethtool(command); })) {
        return false;
    }
    link.head().cmd = ETHTOOL_SLINKSETTINGS;
    link.head().speed = speed != 0 ? speed : static_cast<std::uint32_t>(SPEED_UNKNOWN);
    link.head().duplex = full_duplex ? DUPLEX_FULL : DUPLEX_HALF;
    return ask_ethtool(link.address());
}

void NetdevRequest::set_up(bool up) {
    const unsigned now = flags();
    request_.ifr_flags = static_cast<short>(up ? now | IFF_UP : now & ~unsigned{IFF_UP});
    call(SIOCSIFFLAGS, up ? "set up" : "set down");
}

void NetdevRequest::set_mac(const net::MacAddress& mac) {
    request_.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    std::memcpy(request_.ifr_hwaddr.sa_data, mac.bytes.data(), mac.bytes.size());
    call(SIOCSIFHWADDR, "set the address of");
}

void NetdevRequest::set_mtu(std::uint16_t mtu) {
    request_.ifr_mtu = mtu;
    call(SIOCSIFMTU, "set the MTU of");
}

bool NetdevRequest::switch_offload(Offload offload, bool on) {
    struct Commands {
        std::uint32_t get, set, flag;
    };

    const Commands commands = [offload]() -> Commands {
        switch (offload) {
            case Offload::generic_receive:
                return {ETHTOOL_GGRO, ETHTOOL_SGRO, 0};
            case Offload::large_receive:
                return {ETHTOOL_GFLAGS, ETHTOOL_SFLAGS, ETH_FLAG_LRO};
            case Offload::transmit_checksum:
                return {ETHTOOL_GTXCSUM, ETHTOOL_STXCSUM, 0};
        }
        return {};
    }();
    ethtool_value value{};
    value.cmd = commands.get;
    request_.ifr_data = static_cast<char*>(static_cast<void*>(&value));
    std::copy_n(name_.c_str(), name_.size() + 1, request_.ifr_name);
    if (ioctl(socket_, SIOCETHTOOL, &request_) != 0) return false;
    const std::uint32_t mask = commands.flag != 0 ? commands.flag : 1;
    const bool was_on = (value.data & mask) != 0;
    if (was_on == on) return was_on;
    value.cmd = commands.set;
    value.data = on ? value.data | mask : value.data & ~mask;
    call(SIOCETHTOOL, "change an offload of");
    return was_on;
}

}  // namespace nlvs::forwarding
