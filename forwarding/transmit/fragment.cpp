#include "forwarding/transmit/fragment.hpp"

#include "compat/net/bytes.hpp"
#include "forwarding/packet/checksum.hpp"
#include "forwarding/packet/headers/ipv4.hpp"
#include "forwarding/packet/headers/ipv6.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

namespace nlvs::forwarding {
namespace {

constexpr std::size_t unit = 8;

/// A packet taken apart: the headers every fragment repeats, and the data they share out.
struct Cut {
    std::array<std::byte, 512> header;
    std::size_t header_length;
    std::size_t data_offset;  ///< in the packet
    std::size_t data_length;
};

void free_all(FragmentTrain& train) noexcept {
    for (std::size_t i = 0; i < train.size; ++i) rte_pktmbuf_free(train.packets[i]);
    train.size = 0;
}

/// Copies `length` bytes of a chain.
void copy(const rte_mbuf* packet, std::size_t offset, std::size_t length, std::byte* to) noexcept {
    const void* from = rte_pktmbuf_read(
        packet, static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(length), to
    );
    if (from != to) std::memcpy(to, from, length);
}

/// Bytes of data in a fragment that is not the last: what its size and one buffer allow.
std::size_t share_of(const rte_mbuf* packet, const Cut& cut, std::size_t size) noexcept {
    const std::size_t room = rte_pktmbuf_data_room_size(packet->pool) - RTE_PKTMBUF_HEADROOM;
    const std::size_t limit = std::min(size, room);
    return limit <= cut.header_length ? 0 : (limit - cut.header_length) / unit * unit;
}

/// Deals the data out; `complete(header, offset, length, last)` finishes each fragment's header.
template <class Complete>
bool deal(
    const rte_mbuf* packet,
    const Cut& cut,
    PieceSizes sizes,
    FragmentTrain& train,
    Complete&& complete
) noexcept {
    std::size_t share = share_of(packet, cut, sizes.first);
    const std::size_t later_share = share_of(packet, cut, sizes.others);
    if (share == 0 || later_share == 0) return false;
    for (std::size_t offset = 0; offset < cut.data_length;
         offset += std::exchange(share, later_share)) {
        const std::size_t length = std::min(share, cut.data_length - offset);
        rte_mbuf* fragment =
            train.size < FragmentTrain::capacity ? rte_pktmbuf_alloc(packet->pool) : nullptr;
        if (fragment == nullptr) {
            free_all(train);
            return false;
        }
        train.packets[train.size++] = fragment;
        fragment->port = packet->port;
        auto* to = reinterpret_cast<std::byte*>(rte_pktmbuf_append(  // NOLINT: char* to byte*
            fragment,
            static_cast<std::uint16_t>(cut.header_length + length)
        ));
        std::memcpy(to, cut.header.data(), cut.header_length);
        copy(packet, cut.data_offset + offset, length, to + cut.header_length);
        complete(to, offset, length, offset + length == cut.data_length);
    }
    return true;
}

/// Overwrites the options that are not to be copied into later fragments (RFC 791 3.1: copied
/// flag) with no-operations. Linux: net/ipv4/ip_options.c ip_options_fragment.
void drop_options(std::byte* options, std::size_t length) noexcept {
    constexpr std::byte end_of_options{0};
    constexpr std::byte no_operation{1};
    constexpr std::byte copied{0x80};
    for (std::size_t i = 0; i < length;) {
        if (options[i] == end_of_options) return;
        if (options[i] == no_operation) {
            ++i;
            continue;
        }
        const std::size_t left = length - i;
        const std::size_t size = left > 1 ? std::to_integer<std::size_t>(options[i + 1]) : 0;
        if (size < 2 || size > left) return;
        if ((options[i] & copied) == std::byte{0}) std::fill_n(options + i, size, no_operation);
        i += size;
    }
}

/// Length of the part that precedes a fragment header, and where its last next-header byte is.
/// Linux: net/ipv6/output_core.c ip6_find_1stfragopt.
struct Unfragmentable {
    std::size_t length;
    std::size_t next_header_at;
};

std::optional<Unfragmentable> unfragmentable_part(
    const rte_mbuf* packet, std::size_t l3_offset
) noexcept {
    constexpr unsigned max_headers = 8;
    Unfragmentable part{sizeof(Ipv6Header), offsetof(Ipv6Header, next_header)};
    Unfragmentable seen = part;
    std::byte next;
    copy(packet, l3_offset + seen.next_header_at, 1, &next);
    for (unsigned i = 0; i < max_headers; ++i) {
        const Ipv6Extension type{std::to_integer<std::uint8_t>(next)};
        if (type != Ipv6Extension::hop_by_hop && type != Ipv6Extension::routing &&
            type != Ipv6Extension::destination_options) {
            return part;
        }
        std::array<std::byte, sizeof(Ipv6ExtensionHeader)> bytes;
        if (l3_offset + seen.length + bytes.size() > packet->pkt_len) return std::nullopt;
        copy(packet, l3_offset + seen.length, bytes.size(), bytes.data());
        const auto header = net::load<Ipv6ExtensionHeader>(bytes.data());
        seen.next_header_at = seen.length;
        seen.length += (header.length + std::size_t{1}) * 8;
        next = bytes[0];
        // Destination options count only in front of a routing header.
        if (type != Ipv6Extension::destination_options) part = seen;
    }
    return part;
}

}  // namespace

bool fragment_ipv4(
    const rte_mbuf* packet, std::size_t l3_offset, PieceSizes sizes, FragmentTrain& train
) noexcept {
    train.size = 0;
    Cut cut;
    if (l3_offset + sizeof(Ipv4Header) > packet->pkt_len) return false;
    copy(packet, l3_offset, sizeof(Ipv4Header), cut.header.data());
    auto& header = *net::header_at<Ipv4Header>(cut.header.data());
    cut.header_length = header.length();
    if (cut.header_length < sizeof(Ipv4Header) || header.total_length.host() < cut.header_length ||
        l3_offset + header.total_length.host() > packet->pkt_len) {
        return false;
    }
    copy(packet, l3_offset, cut.header_length, cut.header.data());
    cut.data_offset = l3_offset + cut.header_length;
    cut.data_length = header.total_length.host() - cut.header_length;
    const std::uint16_t flags = header.fragment.host();
    return deal(
        packet,
        cut,
        sizes,
        train,
        [&](std::byte* l3, std::size_t offset, std::size_t length, bool last) {
            auto& ip = *net::header_at<Ipv4Header>(l3);
            if (offset == 0) {
                drop_options(
                    cut.header.data() + sizeof(Ipv4Header), cut.header_length - sizeof(Ipv4Header)
                );
            }
            ip.total_length = net::Be16{static_cast<std::uint16_t>(cut.header_length + length)};
            const auto more = last ? std::uint16_t{0} : Ipv4Header::more_fragments;
            ip.fragment = net::Be16{static_cast<std::uint16_t>((flags | more) + offset / unit)};
            write_checksum(ip);
        }
    );
}

bool fragment_ipv6(
    const rte_mbuf* packet,
    std::size_t l3_offset,
    PieceSizes sizes,
    std::uint32_t identification,
    FragmentTrain& train
) noexcept {
    train.size = 0;
    if (l3_offset + sizeof(Ipv6Header) > packet->pkt_len) return false;
    Cut cut;
    const auto part = unfragmentable_part(packet, l3_offset);
    if (!part || part->length + sizeof(Ipv6FragmentHeader) > cut.header.size() ||
        l3_offset + part->length > packet->pkt_len) {
        return false;
    }
    copy(packet, l3_offset, part->length, cut.header.data());
    const std::size_t payload =
        net::header_at<Ipv6Header>(cut.header.data())->payload_length.host();
    const std::size_t extensions = part->length - sizeof(Ipv6Header);
    if (payload < extensions || l3_offset + sizeof(Ipv6Header) + payload > packet->pkt_len) {
        return false;
    }
    cut.header_length = part->length + sizeof(Ipv6FragmentHeader);
    cut.data_offset = l3_offset + part->length;
    cut.data_length = payload - extensions;
    auto& fragment = *net::header_at<Ipv6FragmentHeader>(cut.header.data() + part->length);
    fragment.next_header = std::to_integer<std::uint8_t>(cut.header[part->next_header_at]);
    fragment.reserved = 0;
    fragment.identification = net::Be32{identification};
    cut.header[part->next_header_at] = static_cast<std::byte>(Ipv6Extension::fragment);
    return deal(
        packet,
        cut,
        sizes,
        train,
        [&](std::byte* l3, std::size_t offset, std::size_t length, bool last) {
            const std::size_t after = cut.header_length - sizeof(Ipv6Header) + length;
            net::header_at<Ipv6Header>(l3)->payload_length =
                net::Be16{static_cast<std::uint16_t>(after)};
            const auto more = last ? std::uint16_t{0} : Ipv6FragmentHeader::more_fragments;
            net::header_at<Ipv6FragmentHeader>(l3 + part->length)->offset_and_flags =
                net::Be16{static_cast<std::uint16_t>(offset | more)};
        }
    );
}

}  // namespace nlvs::forwarding
