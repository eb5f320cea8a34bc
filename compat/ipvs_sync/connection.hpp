#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "compat/net/ip_address.hpp"
#include "compat/net/port.hpp"

namespace nlvs::ipvs_sync {

/// Linux: IP_VS_CONN_F_*, as they travel. A version-0 message carries the low 16 bits.
struct Flags {
    static constexpr std::uint32_t forwarding_mask = 0x0007;
    static constexpr std::uint32_t synced = 0x0020;
    static constexpr std::uint32_t hashed = 0x0040;  ///< never sent
    static constexpr std::uint32_t no_output = 0x0080;
    static constexpr std::uint32_t inactive = 0x0100;
    static constexpr std::uint32_t sequence_mask = 0x0600;
    static constexpr std::uint32_t no_client_port = 0x0800;
    static constexpr std::uint32_t persistence_template = 0x1000;
    static constexpr std::uint32_t one_packet = 0x2000;
    /// What a backup believes. Linux: IP_VS_CONN_F_BACKUP_MASK.
    static constexpr std::uint32_t kept = forwarding_mask | no_output | inactive | sequence_mask |
                                          no_client_port | persistence_template;
};

/// By how much the payload of one direction has grown. Linux: struct ip_vs_seq.
struct SequenceShift {
    std::uint32_t initial = 0;
    std::uint32_t delta = 0;
    std::uint32_t previous_delta = 0;

    friend bool operator==(const SequenceShift&, const SequenceShift&) = default;
};

struct Sequences {
    SequenceShift in;
    SequenceShift out;

    friend bool operator==(const Sequences&, const Sequences&) = default;
};

/// A connection, or a persistence template, as one director tells it to another.
/// Both addresses and the destination's are of one family.
struct Connection {
    std::uint8_t protocol = 0;  ///< 0 for templates of firewall-mark services
    std::uint32_t flags = 0;    ///< Flags
    std::uint16_t state = 0;
    net::IpAddress client;
    net::IpAddress virtual_address;
    net::IpAddress destination;
    net::Port client_port;
    net::Port virtual_port;
    net::Port destination_port;
    std::uint32_t firewall_mark = 0;
    std::uint32_t timeout = 0;           ///< seconds; 0: as the state says
    std::optional<Sequences> sequences;  ///< sent iff flags has one of sequence_mask
    std::string_view engine;             ///< persistence engine; at most 16 characters
    std::string_view engine_data;        ///< at most 255 characters

    bool is_template() const noexcept { return (flags & Flags::persistence_template) != 0; }

    friend bool operator==(const Connection&, const Connection&) = default;
};

}  // namespace nlvs::ipvs_sync
