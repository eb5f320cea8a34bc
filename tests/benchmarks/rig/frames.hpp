#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <rte_mbuf.h>

/// The packets of the rig: what its clients and real servers send through the director, and what
/// must come back of each.
///
///     clients      11.0.0.0/8, behind the gateway 10.99.0.254, 02:00:00:00:00:fe
///     director     10.99.0.1, virtual address 10.99.0.10, UDP and TCP port 53
///     real servers 10.99.1.1 ..., 02:00:00:00:01:01 ..., port 5353 behind NAT
namespace nlvs::rig {

using Mac = std::array<std::uint8_t, 6>;

enum class Method : std::uint8_t { masquerade, direct_route, tunnel, macswap };

/// The seven packets of a TCP connection, in order.
enum class Step : std::uint8_t { syn, syn_ack, ack, data, fin, fin_ack, last_ack };

/// What every packet of the rig carries: in a UDP payload all of it, in TCP the sequence number.
struct Stamp {
    std::uint32_t magic;
    std::uint32_t flow;
    std::uint64_t sent;  ///< TSC
};

struct Settings {
    Method method = Method::masquerade;
    bool tcp = false;
    std::uint16_t frame = 60;  ///< bytes without FCS
    unsigned servers = 16;
    Mac director{};
};

/// A packet that came back from the director.
struct Arrival {
    std::uint32_t flow = 0;
    std::uint64_t sent = 0;
    std::uint8_t server = 0;  ///< from 1, 0: the client's side
    Step step{};
};

class Frames {
public:
    explicit Frames(const Settings& settings);

    /// A client's packet of this flow: UDP, or the SYN of a connection.
    void write(rte_mbuf* packet, std::uint32_t flow, std::uint64_t now) const noexcept;

    /// Whether it is a packet of the rig, and not one of the director's host (ARP, ND, MLD).
    bool ours(const rte_mbuf* packet) const noexcept;

    /// Every field that the director may not change, every one that it must, and both checksums.
    /// Empty: the packet is wrong.
    std::optional<Arrival> verify(const rte_mbuf* packet) const noexcept;

    /// Turns an arrived packet into what its receiver answers: of a server the reply, of a TCP
    /// peer the next step.
    void answer(rte_mbuf* packet, const Arrival& arrival, std::uint64_t now) const noexcept;

private:
    std::size_t header_length() const noexcept { return settings_.tcp ? 54 : 42; }

    bool addressed_rightly(const std::byte* ip, const Arrival& arrival) const noexcept;

    Settings settings_;
    std::array<std::byte, 2048> pattern_{};
};

}  // namespace nlvs::rig
