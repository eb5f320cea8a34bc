#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "compat/net/mac_address.hpp"
#include "forwarding/config/published_table.hpp"
#include "forwarding/identifiers.hpp"

namespace nlvs::forwarding {

/// What a frame is addressed to on its wire: a station in a VLAN.
struct IngressKey {
    std::uint64_t station = 0;  ///< station_word() and the port above it
    std::uint32_t tags = 0;     ///< tag_code() of the outer tag, of the inner one above it

    IngressKey() = default;

    IngressKey(PortIndex port, std::uint64_t mac, const std::array<std::uint16_t, 2>& codes) noexcept
        : station{mac | (std::uint64_t{port} << 48)},
          tags{codes[0] | (std::uint32_t{codes[1]} << 16)} {}

    friend bool operator==(const IngressKey&, const IngressKey&) = default;
};

/// A MAC address as the low six bytes of what the first eight bytes of a frame are when loaded.
inline std::uint64_t station_word(const net::MacAddress& mac) noexcept {
    std::uint64_t word = 0;
    std::memcpy(&word, mac.bytes.data(), mac.bytes.size());
    return word;
}

inline constexpr std::uint64_t station_mask = 0xFFFF'FFFF'FFFF;

/// How much a packet's sender must be where it came from. Linux: net.ipv4.conf.*.rp_filter.
enum class SourceCheck : std::uint8_t { none, strict, loose };

/// The kernel's interface that receives such frames. A frame that none receives, be it for another
/// station, for many, or in a VLAN without a device, is never load-balanced: the kernel gets it.
/// Linux: eth_type_trans (PACKET_HOST), ip_vs_core.c ip_vs_in_hook.
/// Thread: immutable.
struct Ingress {
    IngressKey key;
    std::uint32_t interface = 0;  ///< kernel ifindex
    /// What rules see as the input: the interface, or the VRF it is a member of.
    std::uint32_t input = 0;
    std::uint32_t vrf_table = 0;  ///< 0: in no VRF
    bool forwards_v4 = false;     ///< what comes in here may leave elsewhere
    bool forwards_v6 = false;
    SourceCheck source_check = SourceCheck::none;
};

struct IngressTraits {
    static std::uint64_t hash(const IngressKey& key) noexcept {
        const std::uint64_t product = (key.station ^ key.tags) * 0x9E3779B97F4A7C15ULL;
        return product ^ (product >> 32);
    }

    static const IngressKey& key(const Ingress& ingress) noexcept { return ingress.key; }
};

using IngressTable = PublishedTable<IngressKey, Ingress, IngressTraits>;

}  // namespace nlvs::forwarding
