#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include <rte_mbuf.h>

namespace nlvs::forwarding {

/// Cuts bytes off the end of a chain, for instance Ethernet padding after the IP packet.
inline void truncate(rte_mbuf* packet, std::size_t length) noexcept {
    if (length >= packet->pkt_len) return;
    std::size_t before = 0;
    rte_mbuf* segment = packet;
    std::uint16_t segments = 1;
    for (; before + segment->data_len < length; segment = segment->next, ++segments) {
        before += segment->data_len;
    }
    segment->data_len = static_cast<std::uint16_t>(length - before);
    rte_pktmbuf_free(std::exchange(segment->next, nullptr));
    packet->nb_segs = segments;
    packet->pkt_len = static_cast<std::uint32_t>(length);
}

/// Owns one packet: an rte_mbuf, possibly a chain of segments. Move-only; freed when destroyed
/// unless released. Offsets are from the first byte of the frame.
/// Thread: whoever owns it.
class Packet {
public:
    Packet() = default;

    explicit Packet(rte_mbuf* mbuf) noexcept : mbuf_{mbuf} {}

    Packet(Packet&& other) noexcept : mbuf_{std::exchange(other.mbuf_, nullptr)} {}

    Packet& operator=(Packet&& other) noexcept {
        if (this != &other) {
            reset();
            mbuf_ = std::exchange(other.mbuf_, nullptr);
        }
        return *this;
    }

    ~Packet() { reset(); }

    explicit operator bool() const noexcept { return mbuf_ != nullptr; }

    /// Gives the mbuf away.
    [[nodiscard]] rte_mbuf* release() noexcept { return std::exchange(mbuf_, nullptr); }

    rte_mbuf* mbuf() const noexcept { return mbuf_; }

    /// Bytes of the first segment.
    std::span<std::byte> first_segment() const noexcept {
        return {at(0), rte_pktmbuf_data_len(mbuf_)};
    }

    /// Bytes of all segments.
    std::size_t length() const noexcept { return rte_pktmbuf_pkt_len(mbuf_); }

    std::byte* at(std::size_t offset) const noexcept {
        return rte_pktmbuf_mtod_offset(mbuf_, std::byte*, offset);
    }

    /// Makes room for `length` bytes in front; null (and nothing done) without headroom.
    std::byte* prepend(std::size_t length) noexcept {
        return reinterpret_cast<std::byte*>(  // NOLINT: char* to byte*
            rte_pktmbuf_prepend(mbuf_, static_cast<std::uint16_t>(length))
        );
    }

    /// Cuts bytes off the front; false if the first segment is shorter.
    bool cut_front(std::size_t length) noexcept {
        return rte_pktmbuf_adj(mbuf_, static_cast<std::uint16_t>(length)) != nullptr;
    }

private:
    void reset() noexcept {
        if (mbuf_ != nullptr) rte_pktmbuf_free(mbuf_);
    }

    rte_mbuf* mbuf_ = nullptr;
};

}  // namespace nlvs::forwarding
