#include "forwarding/packet/reassembly.hpp"

#include "compat/net/bytes.hpp"
#include "forwarding/packet/checksum.hpp"
#include "forwarding/packet/headers/ipv4.hpp"
#include "forwarding/packet/headers/ipv6.hpp"
#include "forwarding/packet/packet.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

namespace nlvs::forwarding {
namespace {

constexpr std::uint32_t maximum_data = 65535 - sizeof(Ipv4Header);

std::byte* bytes_at(const rte_mbuf* packet, std::size_t offset) noexcept {
    return rte_pktmbuf_mtod_offset(packet, std::byte*, offset);
}

net::Ipv6Address widened(net::Ipv4Address address) noexcept {
    net::Ipv6Address::Bytes bytes{};
    const net::Be32 wire = address.wire();
    std::memcpy(bytes.data(), &wire, sizeof(wire));
    return net::Ipv6Address{bytes};
}

/// Bits of Datagram::ecn_seen.
constexpr unsigned not_capable = 1U << 0, capable_1 = 1U << 1, capable_0 = 1U << 2,
                   congestion_experienced = 1U << 3;

/// Linux: net/ipv4/inet_fragment.c ip_frag_ecn_table — "not capable" mixes with nothing.
constexpr bool may_occur_together(unsigned ecn_seen) noexcept {
    return (ecn_seen & not_capable) == 0 || ecn_seen == not_capable;
}

/// Moves bytes of later segments into the first, so that headers are contiguous again however
/// small the first fragment was.
void pull_up(rte_mbuf* head, std::size_t wanted) noexcept {
    while (head->data_len < wanted && head->next != nullptr) {
        rte_mbuf* next = head->next;
        const std::size_t room =
            std::min<std::size_t>(wanted - head->data_len, rte_pktmbuf_tailroom(head));
        if (room == 0) return;
        const auto moved = static_cast<std::uint16_t>(std::min<std::size_t>(room, next->data_len));
        std::memcpy(bytes_at(head, head->data_len), bytes_at(next, 0), moved);
        head->data_len = static_cast<std::uint16_t>(head->data_len + moved);
        next->data_off = static_cast<std::uint16_t>(next->data_off + moved);
        next->data_len = static_cast<std::uint16_t>(next->data_len - moved);
        if (next->data_len > 0) return;
        head->next = std::exchange(next->next, nullptr);
        --head->nb_segs;
        rte_pktmbuf_free_seg(next);
    }
}

void finish_ipv4(
    rte_mbuf* packet, std::size_t l3, std::size_t data, bool dont_fragment, bool congestion
) noexcept {
    auto& header = *net::header_at<Ipv4Header>(bytes_at(packet, l3));
    header.total_length = net::Be16{static_cast<std::uint16_t>(header.length() + data)};
    header.fragment = net::Be16{dont_fragment ? Ipv4Header::dont_fragment : std::uint16_t{0}};
    if (congestion) header.type_of_service |= 3;
    write_checksum(header);
}

/// Takes out the fragment header at `fragment_header`; the frame begins eight bytes later then.
void finish_ipv6(
    rte_mbuf* packet, std::size_t l3, std::size_t fragment_header, std::size_t data, bool congestion
) noexcept {
    const std::byte next_header = *bytes_at(packet, fragment_header);
    std::size_t naming = l3 + offsetof(Ipv6Header, next_header);
    for (std::size_t at = l3 + sizeof(Ipv6Header); at < fragment_header;) {
        const auto& extension = *net::header_at<Ipv6ExtensionHeader>(bytes_at(packet, at));
        const bool authentication =
            *bytes_at(packet, naming) == static_cast<std::byte>(Ipv6Extension::authentication);
        naming = at;
        at += authentication ? (extension.length + std::size_t{2}) * 4
                             : (extension.length + std::size_t{1}) * 8;
    }
    *bytes_at(packet, naming) = next_header;
    const std::size_t extensions = fragment_header - l3 - sizeof(Ipv6Header);
    auto& header = *net::header_at<Ipv6Header>(bytes_at(packet, l3));
    header.payload_length = net::Be16{static_cast<std::uint16_t>(extensions + data)};
    if (congestion) {
        header.version_class_label =
            net::Be32{header.version_class_label.host() | std::uint32_t{3} << 20};
    }
    std::memmove(
        bytes_at(packet, sizeof(Ipv6FragmentHeader)), bytes_at(packet, 0), fragment_header
    );
    rte_pktmbuf_adj(packet, sizeof(Ipv6FragmentHeader));
}

}  // namespace

Reassembly::Reassembly(std::uint64_t seed, const Limits& limits)
    : seed_{seed | 1},
      slots_(std::bit_ceil(std::max(limits.datagrams, neighbourhood))),
      nodes_(std::max(limits.fragments, max_fragments)) {
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
        nodes_[i].next = std::exchange(free_, i);
    }
}

Reassembly::~Reassembly() {
    for (Datagram& datagram : slots_) discard(datagram);
}

Reassembly::Result Reassembly::add(rte_mbuf* packet, const Parsed& parsed, Ticks now) noexcept {
    Packet fragment{packet};
    const Piece piece = piece_of(packet, parsed);
    Datagram& datagram = *find_or_open(piece.key, now);
    datagram.ecn_seen |= static_cast<std::uint8_t>(1U << piece.ecn);
    const Fit fits = fit(datagram, piece);
    if (fits == Fit::known) return {};
    const std::uint32_t node = fits == Fit::fits ? take_node(datagram) : none;
    if (node == none || !may_occur_together(datagram.ecn_seen)) {
        if (node != none) nodes_[node].next = std::exchange(free_, node);
        discard(datagram);
        return {};
    }
    truncate(packet, std::size_t{parsed.l3_offset} + parsed.l3_length);
    nodes_[node] = {
        fragment.release(),
        parsed.l3_offset,
        parsed.l4_offset,
        static_cast<std::uint16_t>(piece.begin),
        static_cast<std::uint16_t>(piece.end),
        none};
    insert(datagram, node);
    if (piece.last) datagram.length = piece.end;
    datagram.largest = std::max(datagram.largest, parsed.l3_length);
    if (piece.dont_fragment) datagram.largest_df = std::max(datagram.largest_df, parsed.l3_length);
    if (datagram.length == 0 || datagram.received != datagram.length) return {};
    return complete(datagram);
}

void Reassembly::expire(Ticks now) noexcept {
    constexpr std::uint32_t slots_per_call = 16;
    if (used_ == 0) return;
    for (std::uint32_t i = 0; i < slots_per_call; ++i) {
        Datagram& datagram = slots_[hand_++ & (slots_.size() - 1)];
        if (datagram.first == none) continue;
        if (static_cast<std::int32_t>(now - datagram.deadline) >= 0) discard(datagram);
    }
}

Reassembly::Piece Reassembly::piece_of(const rte_mbuf* packet, const Parsed& parsed) noexcept {
    Piece piece;
    piece.key.family = static_cast<std::uint16_t>(parsed.family);
    if (parsed.family == net::Family::inet) {
        const auto& header = *net::header_at<Ipv4Header>(bytes_at(packet, parsed.l3_offset));
        const std::uint16_t word = header.fragment.host();
        piece.key.source = widened(parsed.flow4.source);
        piece.key.destination = widened(parsed.flow4.destination);
        piece.key.identification = header.identification.host();
        piece.key.protocol = parsed.protocol;
        piece.begin = (word & Ipv4Header::offset_mask) * 8U;
        piece.last = (word & Ipv4Header::more_fragments) == 0;
        piece.dont_fragment = !header.may_be_fragmented();
        piece.ecn = header.type_of_service & 3;
    } else {
        const auto& header = *net::header_at<Ipv6FragmentHeader>(
            bytes_at(packet, parsed.l4_offset - sizeof(Ipv6FragmentHeader))
        );
        const std::uint16_t word = header.offset_and_flags.host();
        piece.key.source = parsed.flow6.source;
        piece.key.destination = parsed.flow6.destination;
        piece.key.identification = header.identification.host();
        piece.begin = word & Ipv6FragmentHeader::offset_mask;
        piece.last = (word & Ipv6FragmentHeader::more_fragments) == 0;
        const auto& ip = *net::header_at<Ipv6Header>(bytes_at(packet, parsed.l3_offset));
        piece.ecn = ip.traffic_class() & 3;
    }
    piece.end = piece.begin + static_cast<std::uint32_t>(parsed.l4_length());
    return piece;
}

std::uint64_t Reassembly::hash(const Key& key) const noexcept {
    static_assert(sizeof(Key) == 40 && std::has_unique_object_representations_v<Key>);
    std::uint64_t result = seed_;
    for (std::size_t i = 0; i < sizeof(Key); i += 8) {
        result = (result ^ net::load<std::uint64_t>(net::as_bytes_of(key).data() + i)) *
                 0x9E3779B97F4A7C15ULL;
        result ^= result >> 32;
    }
    return result;
}

/// The datagram of `key`: under construction, or a free slot for it. Without a free slot nearby
/// the one that gives up soonest makes room.
Reassembly::Datagram* Reassembly::find_or_open(const Key& key, Ticks now) noexcept {
    const std::uint64_t home = hash(key);
    Datagram* free = nullptr;
    Datagram* oldest = nullptr;
    for (std::uint32_t i = 0; i < neighbourhood; ++i) {
        Datagram& datagram = slots_[(home + i) & (slots_.size() - 1)];
        if (datagram.first == none) {
            if (free == nullptr) free = &datagram;
            continue;
        }
        if (datagram.key == key) {
            if (static_cast<std::int32_t>(now - datagram.deadline) < 0) return &datagram;
            discard(datagram);
            free = &datagram;
            break;
        }
        if (oldest == nullptr ||
            static_cast<std::int32_t>(datagram.deadline - oldest->deadline) < 0) {
            oldest = &datagram;
        }
    }
    if (free == nullptr) {
        discard(*oldest);
        free = oldest;
    }
    const bool v4 = key.family == static_cast<std::uint16_t>(net::Family::inet);
    *free = Datagram{};
    free->key = key;
    free->deadline = now + (v4 ? timeout_v4 : timeout_v6);
    return free;
}

Reassembly::Fit Reassembly::fit(const Datagram& datagram, const Piece& piece) const noexcept {
    if (piece.end <= piece.begin || piece.end > maximum_data) return Fit::contradicts;
    if (!piece.last && piece.end % 8 != 0) return Fit::contradicts;
    if (datagram.length != 0 &&
        (piece.end > datagram.length || (piece.last && piece.end != datagram.length))) {
        return Fit::contradicts;
    }
    for (std::uint32_t i = datagram.first; i != none; i = nodes_[i].next) {
        const Fragment& other = nodes_[i];
        if (piece.begin >= other.begin && piece.end <= other.end) return Fit::known;
        if (piece.begin < other.end && other.begin < piece.end) return Fit::contradicts;
        if (piece.last && other.end > piece.end) return Fit::contradicts;
    }
    return datagram.fragments < max_fragments ? Fit::fits : Fit::contradicts;
}

/// A free node, if need be at the cost of some other datagram.
std::uint32_t Reassembly::take_node(const Datagram& keep) noexcept {
    for (std::size_t tried = 0; free_ == none && tried < slots_.size(); ++tried) {
        Datagram& victim = slots_[hand_++ & (slots_.size() - 1)];
        if (&victim != &keep) discard(victim);
    }
    if (free_ == none) return none;
    return std::exchange(free_, nodes_[free_].next);
}

void Reassembly::insert(Datagram& datagram, std::uint32_t node) noexcept {
    if (datagram.first == none) ++used_;
    ++held_;
    ++datagram.fragments;
    datagram.received += static_cast<std::uint32_t>(nodes_[node].end - nodes_[node].begin);
    std::uint32_t* link = &datagram.first;
    while (*link != none && nodes_[*link].begin < nodes_[node].begin) link = &nodes_[*link].next;
    nodes_[node].next = std::exchange(*link, node);
}

Reassembly::Result Reassembly::complete(Datagram& datagram) noexcept {
    constexpr std::size_t headers = 256;  // what the parser may want contiguous
    const Fragment& first = nodes_[datagram.first];
    const std::size_t l3 = first.l3_offset;
    const std::size_t data_offset = first.data_offset;
    const bool v4 = datagram.key.family == static_cast<std::uint16_t>(net::Family::inet);
    const bool congestion = (datagram.ecn_seen & congestion_experienced) != 0 &&
                            (datagram.ecn_seen & (capable_0 | capable_1)) != 0;
    const std::uint32_t length = datagram.length;
    const std::uint16_t largest = datagram.largest;
    const bool dont_fragment = datagram.largest_df == largest;
    rte_mbuf* packet = chain(datagram);
    if (data_offset - l3 + length > 65535) {
        rte_pktmbuf_free(packet);
        return {};
    }
    if (v4) {
        finish_ipv4(packet, l3, length, dont_fragment, congestion);
    } else {
        finish_ipv6(packet, l3, data_offset - sizeof(Ipv6FragmentHeader), length, congestion);
    }
    pull_up(packet, headers);
    return {packet, largest};
}

/// Links the fragments' data behind the first fragment and frees the slot.
rte_mbuf* Reassembly::chain(Datagram& datagram) noexcept {
    std::uint32_t node = std::exchange(datagram.first, none);
    rte_mbuf* head = nodes_[node].packet;
    rte_mbuf* tail = rte_pktmbuf_lastseg(head);
    while (node != none) {
        Fragment& fragment = nodes_[node];
        rte_mbuf* packet = fragment.packet;
        if (packet != head) {
            rte_pktmbuf_adj(packet, fragment.data_offset);
            tail->next = packet;
            tail = rte_pktmbuf_lastseg(packet);
            head->nb_segs = static_cast<std::uint16_t>(head->nb_segs + packet->nb_segs);
            head->pkt_len += packet->pkt_len;
        }
        --held_;
        const std::uint32_t next = std::exchange(fragment.next, free_);
        free_ = std::exchange(node, next);
    }
    --used_;
    return head;
}

void Reassembly::discard(Datagram& datagram) noexcept {
    if (datagram.first == none) return;
    rte_pktmbuf_free(chain(datagram));
}

}  // namespace nlvs::forwarding
