#pragma once

#include "compat/net/bytes.hpp"
#include "compat/net/ip_protocol.hpp"
#include "forwarding/packet/checksum.hpp"
#include "forwarding/connections/sctp_state.hpp"
#include "forwarding/packet/headers/ethernet.hpp"
#include "forwarding/packet/headers/icmp.hpp"
#include "forwarding/packet/headers/icmpv6.hpp"
#include "forwarding/packet/headers/ipv4.hpp"
#include "forwarding/packet/headers/ipv6.hpp"
#include "forwarding/packet/headers/sctp.hpp"
#include "forwarding/packet/headers/tcp.hpp"
#include "forwarding/packet/headers/udp.hpp"
#include "forwarding/packet/parsed.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace nlvs::forwarding {

/// Parsing of one frame, top to bottom: Ethernet, IP, transport or ICMP.
///
/// Theory of operation. `end_` is where the IP packet ends, known once its length field has been
/// checked against the frame; `readable_` is how much of the frame the span holds. Each header is
/// taken with one comparison against both, then read in place. Every function either fills in
/// what it owns and hands on, or returns the verdict; nothing loops except the bounded walks over
/// VLAN tags and IPv6 extension headers.
/// Thread: any.
class FrameParser {
public:
    FrameParser(std::span<const std::byte> frame, std::size_t frame_length, Parsed& parsed) noexcept
        : data_{frame.data()},
          readable_{frame.size() < frame_length ? frame.size() : frame_length},
          frame_length_{frame_length},
          parsed_{parsed} {}

    void run() noexcept { parsed_.kind = ethernet(); }

    /// The same for an IP packet at `offset`, whatever is in front of it.
    void run_inside(net::Family family, std::uint16_t offset) noexcept {
        parsed_.l3_offset = offset;
        parsed_.kind = family == net::Family::inet ? ipv4(offset) : ipv6(offset);
    }

private:
    static constexpr unsigned max_vlan_tags = 2;
    static constexpr unsigned max_extension_headers = 8;
    static constexpr std::size_t max_offset = 0xFFFF;

    template <class Header>
    const Header& at(std::size_t offset) const noexcept {
        return *net::header_at<Header>(data_ + offset);
    }

    /// True if `length` bytes at `offset` are in the span and inside the IP packet.
    bool holds(std::size_t offset, std::size_t length) const noexcept {
        return offset + length <= end_ && offset + length <= readable_;
    }

    PacketKind ethernet() noexcept {
        if (readable_ < sizeof(EthernetHeader)) [[unlikely]]
            return PacketKind::malformed;
        EtherType type = at<EthernetHeader>(0).type();
        std::size_t offset = sizeof(EthernetHeader);
        if (type == EtherType::ipv4) [[likely]] {
            parsed_.l3_offset = sizeof(EthernetHeader);
            return ipv4(sizeof(EthernetHeader));
        }
        for (unsigned tags = 0; type == EtherType::vlan || type == EtherType::qinq; ++tags) {
            if (tags == max_vlan_tags) return PacketKind::other;
            if (readable_ < offset + sizeof(VlanTag)) return PacketKind::malformed;
            const auto& tag = at<VlanTag>(offset);
            note(tag_code(static_cast<std::uint16_t>(type), tag.tci.host()));
            parsed_.vlan = true;
            type = tag.type();
            offset += sizeof(VlanTag);
        }
        parsed_.l3_offset = static_cast<std::uint16_t>(offset);
        if (type == EtherType::ipv4) return ipv4(offset);
        if (type == EtherType::ipv6) return ipv6(offset);
        return PacketKind::other;
    }

    void note(std::uint16_t tag) noexcept {
        (parsed_.tags[0] == 0 ? parsed_.tags[0] : parsed_.tags[1]) = tag;
    }

    PacketKind ipv4(std::size_t offset) noexcept {
        if (readable_ < offset + sizeof(Ipv4Header)) [[unlikely]]
            return PacketKind::malformed;
        const auto& header = at<Ipv4Header>(offset);
        const std::size_t header_length = header.length();
        const std::size_t total_length = header.total_length.host();
        if (header.version() != 4 || header_length < sizeof(Ipv4Header) ||
            total_length < header_length || frame_length_ - offset < total_length ||
            readable_ < offset + header_length) [[unlikely]] {
            return PacketKind::malformed;
        }
        if (!has_valid_checksum(header)) [[unlikely]]
            return PacketKind::malformed;
        end_ = offset + total_length;
        parsed_.family = net::Family::inet;
        parsed_.l3_length = static_cast<std::uint16_t>(total_length);
        parsed_.protocol = header.protocol;
        parsed_.ttl = header.time_to_live;
        parsed_.fragmentation_allowed = header.may_be_fragmented();
        parsed_.l4_offset = static_cast<std::uint16_t>(offset + header_length);
        take_addresses(parsed_.flow4, offset + offsetof(Ipv4Header, source));
        parsed_.flow4.protocol = header.protocol;
        if (header.is_fragment()) [[unlikely]] {
            parsed_.later_fragment = header.is_later_fragment();
            if (is_transport(header.protocol)) return PacketKind::fragment;
            return is_ipsec(header.protocol) ? ipsec(parsed_.flow4) : PacketKind::other;
        }
        if (header.protocol == static_cast<std::uint8_t>(net::IpProtocol::icmp)) return icmpv4();
        return transport(parsed_.flow4);
    }

    PacketKind ipv6(std::size_t offset) noexcept {
        if (readable_ < offset + sizeof(Ipv6Header)) [[unlikely]]
            return PacketKind::malformed;
        const auto& header = at<Ipv6Header>(offset);
        const std::size_t total_length = sizeof(Ipv6Header) + header.payload_length.host();
        if (header.version() != 6 || frame_length_ - offset < total_length ||
            total_length > max_offset) [[unlikely]] {
            return PacketKind::malformed;
        }
        end_ = offset + total_length;
        parsed_.family = net::Family::inet6;
        parsed_.l3_length = static_cast<std::uint16_t>(total_length);
        parsed_.ttl = header.hop_limit;
        take_addresses(parsed_.flow6, offset + offsetof(Ipv6Header, source));
        Chain chain{offset + sizeof(Ipv6Header), header.next_header};
        if (!walk(chain)) return PacketKind::malformed;
        parsed_.protocol = chain.protocol;
        parsed_.flow6.protocol = chain.protocol;
        parsed_.l4_offset = static_cast<std::uint16_t>(chain.offset);
        if (chain.fragment) [[unlikely]] {
            parsed_.later_fragment = chain.later_fragment;
            return may_lead_to_transport(chain.protocol) ? PacketKind::fragment : PacketKind::other;
        }
        if (chain.protocol == static_cast<std::uint8_t>(net::IpProtocol::icmpv6)) return icmpv6();
        return transport(parsed_.flow6);
    }

    /// A position among IPv6 extension headers.
    struct Chain {
        std::size_t offset;
        std::uint8_t protocol;
        bool fragment = false;
        bool later_fragment = false;
    };

    /// Moves `chain` behind the extension headers, or behind a fragment header that really cuts
    /// (an atomic fragment, RFC 6946, is a whole packet). False if a header does not fit. A chain
    /// longer than any real one stops at a number that is no transport, hence `other`.
    bool walk(Chain& chain) const noexcept {
        for (unsigned i = 0; i < max_extension_headers; ++i) {
            const Ipv6Extension type{chain.protocol};
            switch (type) {
                case Ipv6Extension::hop_by_hop:
                case Ipv6Extension::routing:
                case Ipv6Extension::destination_options:
                case Ipv6Extension::authentication: {
                    if (!holds(chain.offset, 8)) return false;
                    const auto& header = at<Ipv6ExtensionHeader>(chain.offset);
                    const std::size_t length = type == Ipv6Extension::authentication
                                                   ? (header.length + std::size_t{2}) * 4
                                                   : (header.length + std::size_t{1}) * 8;
                    if (!holds(chain.offset, length)) return false;
                    chain.protocol = header.next_header;
                    chain.offset += length;
                    break;
                }
                case Ipv6Extension::fragment: {
                    if (!holds(chain.offset, sizeof(Ipv6FragmentHeader))) return false;
                    const auto& header = at<Ipv6FragmentHeader>(chain.offset);
                    const std::uint16_t word = header.offset_and_flags.host();
                    chain.protocol = header.next_header;
                    chain.offset += sizeof(Ipv6FragmentHeader);
                    chain.later_fragment = (word & Ipv6FragmentHeader::offset_mask) != 0;
                    chain.fragment =
                        chain.later_fragment || (word & Ipv6FragmentHeader::more_fragments) != 0;
                    if (chain.fragment) return true;
                    break;
                }
                case Ipv6Extension::none:
                default:
                    return true;
            }
        }
        return true;
    }

    template <class FamilyTag>
    PacketKind transport(FlowKey<FamilyTag>& flow) noexcept {
        const std::size_t offset = parsed_.l4_offset;
        switch (net::IpProtocol{parsed_.protocol}) {
            case net::IpProtocol::tcp: {
                if (!holds(offset, sizeof(TcpHeader))) [[unlikely]]
                    return PacketKind::malformed;
                const auto& header = at<TcpHeader>(offset);
                const std::size_t length = header.length();
                if (length < sizeof(TcpHeader) || offset + length > end_) [[unlikely]] {
                    return PacketKind::malformed;
                }
                parsed_.tcp_flags = header.flags;
                return finish(flow, length);
            }
            case net::IpProtocol::udp: {
                if (!holds(offset, sizeof(UdpHeader))) [[unlikely]]
                    return PacketKind::malformed;
                const auto& header = at<UdpHeader>(offset);
                const std::size_t length = header.length.host();
                if (length < sizeof(UdpHeader) || offset + length > end_) [[unlikely]] {
                    return PacketKind::malformed;
                }
                return finish(flow, sizeof(UdpHeader));
            }
            case net::IpProtocol::sctp: {
                if (!holds(offset, sizeof(SctpHeader) + sizeof(SctpChunk))) [[unlikely]] {
                    return PacketKind::malformed;
                }
                parsed_.tcp_flags = sctp_chunk(offset + sizeof(SctpHeader));
                return finish(flow, sizeof(SctpHeader));
            }
            case net::IpProtocol::esp:
            case net::IpProtocol::ah:
                return ipsec(flow);
            default:
                return PacketKind::other;
        }
    }

    /// The deciding chunk's type. Linux: ip_vs_proto_sctp.c set_sctp_state.
    std::uint8_t sctp_chunk(std::size_t offset) const noexcept {
        const auto& first = at<SctpChunk>(offset);
        const bool cookie = first.type == SctpChunkType::cookie_echo ||
                            first.type == SctpChunkType::cookie_ack;
        const std::size_t length = first.length.get().host();
        if (!cookie || length < sizeof(SctpChunk)) [[likely]] return first.type;
        const std::size_t second = offset + (length + 3) / 4 * 4;
        if (!holds(second, sizeof(SctpChunk))) return first.type;
        return deciding_sctp_chunk(first.type, at<SctpChunk>(second).type);
    }

    /// Belongs to whatever connection the two hosts' key exchange has, whole or in fragments.
    /// Linux: ip_vs_proto_ah_esp.c ah_esp_conn_fill_param_proto.
    template <class FamilyTag>
    PacketKind ipsec(FlowKey<FamilyTag>& flow) noexcept {
        constexpr net::Port key_exchange{std::uint16_t{500}};
        flow.protocol = static_cast<std::uint8_t>(net::IpProtocol::udp);
        flow.source_port = key_exchange;
        flow.destination_port = key_exchange;
        parsed_.payload_offset = parsed_.l4_offset;
        return PacketKind::transport;
    }

    /// Source and destination of an IP header, in one move.
    template <class FamilyTag>
    void take_addresses(FlowKey<FamilyTag>& flow, std::size_t offset) noexcept {
        std::memcpy(static_cast<void*>(&flow), data_ + offset, 2 * sizeof(flow.source));
    }

    /// The ports, which every transport header begins with, in one move.
    template <class FamilyTag>
    PacketKind finish(FlowKey<FamilyTag>& flow, std::size_t header_length) noexcept {
        auto* to = reinterpret_cast<std::byte*>(&flow) + offsetof(FlowKey<FamilyTag>, source_port);
        std::memcpy(to, data_ + parsed_.l4_offset, 2 * sizeof(flow.source_port));
        parsed_.payload_offset = static_cast<std::uint16_t>(parsed_.l4_offset + header_length);
        return PacketKind::transport;
    }

    /// Linux: ip_vs_core.c ip_vs_in_icmp — types 3, 4 and 11 only; the rest is the host's.
    PacketKind icmpv4() noexcept {
        const std::size_t offset = parsed_.l4_offset;
        if (!holds(offset, sizeof(IcmpHeader))) return PacketKind::other;
        const auto& header = at<IcmpHeader>(offset);
        const IcmpType type{header.type};
        if (type != IcmpType::destination_unreachable && type != IcmpType::source_quench &&
            type != IcmpType::time_exceeded) {
            return PacketKind::other;
        }
        const std::size_t inner = offset + sizeof(IcmpHeader);
        if (!holds(inner, sizeof(Ipv4Header))) return PacketKind::other;
        const auto& embedded = at<Ipv4Header>(inner);
        if (embedded.version() != 4 || embedded.length() < sizeof(Ipv4Header) ||
            embedded.is_later_fragment()) {
            return PacketKind::other;
        }
        parsed_.flow4.source = embedded.source;
        parsed_.flow4.destination = embedded.destination;
        parsed_.flow4.protocol = embedded.protocol;
        parsed_.icmp_type = header.type;
        parsed_.icmp_code = header.code;
        return embedded_transport(parsed_.flow4, inner, inner + embedded.length());
    }

    /// Linux: ip_vs_core.c ip_vs_in_icmp_v6 — every error type.
    PacketKind icmpv6() noexcept {
        const std::size_t offset = parsed_.l4_offset;
        if (!holds(offset, sizeof(Icmpv6Header))) return PacketKind::other;
        const auto& header = at<Icmpv6Header>(offset);
        if (header.type >= Icmpv6Header::first_informational) return PacketKind::other;
        const std::size_t inner = offset + sizeof(Icmpv6Header);
        if (!holds(inner, sizeof(Ipv6Header))) return PacketKind::other;
        const auto& embedded = at<Ipv6Header>(inner);
        if (embedded.version() != 6) return PacketKind::other;
        Chain chain{inner + sizeof(Ipv6Header), embedded.next_header};
        if (!walk(chain) || chain.later_fragment) return PacketKind::other;
        parsed_.flow6.source = embedded.source;
        parsed_.flow6.destination = embedded.destination;
        parsed_.flow6.protocol = chain.protocol;
        parsed_.icmp_type = header.type;
        parsed_.icmp_code = header.code;
        return embedded_transport(parsed_.flow6, inner, chain.offset);
    }

    /// Ports of the embedded packet, of which the first four bytes are enough.
    template <class FamilyTag>
    PacketKind embedded_transport(
        FlowKey<FamilyTag>& flow, std::size_t inner_l3, std::size_t inner_l4
    ) noexcept {
        parsed_.inner_l3_offset = static_cast<std::uint16_t>(inner_l3);
        parsed_.inner_l4_offset = static_cast<std::uint16_t>(inner_l4);
        parsed_.payload_offset = static_cast<std::uint16_t>(inner_l3);
        switch (net::IpProtocol{flow.protocol}) {
            case net::IpProtocol::tcp:
            case net::IpProtocol::udp:
            case net::IpProtocol::sctp: {
                constexpr std::size_t ports_length = 2 * sizeof(net::Port);
                if (!holds(inner_l4, ports_length)) return PacketKind::other;
                const auto& ports = at<UdpHeader>(inner_l4);
                flow.source_port = ports.source_port;
                flow.destination_port = ports.destination_port;
                return PacketKind::icmp_error;
            }
            case net::IpProtocol::ipip:
            case net::IpProtocol::ipv6:
            case net::IpProtocol::gre:
                return holds(inner_l4, 1) ? PacketKind::icmp_error : PacketKind::other;
            default:
                return PacketKind::other;
        }
    }

    static bool is_transport(std::uint8_t protocol) noexcept {
        const net::IpProtocol known{protocol};
        return known == net::IpProtocol::tcp || known == net::IpProtocol::udp ||
               known == net::IpProtocol::sctp;
    }

    static bool is_ipsec(std::uint8_t protocol) noexcept {
        const net::IpProtocol known{protocol};
        return known == net::IpProtocol::esp || known == net::IpProtocol::ah;
    }

    /// What a fragment header may announce so that a transport follows in the whole packet.
    static bool may_lead_to_transport(std::uint8_t protocol) noexcept {
        const Ipv6Extension known{protocol};
        return is_transport(protocol) || known == Ipv6Extension::destination_options ||
               known == Ipv6Extension::routing || known == Ipv6Extension::authentication;
    }

    const std::byte* data_;
    std::size_t readable_;
    std::size_t frame_length_;
    std::size_t end_ = 0;
    Parsed& parsed_;
};

/// Parses an Ethernet frame. Total: any bytes give a result; never reads beyond `frame`.
/// `frame_length` is the whole frame's length (≥ frame.size() for a segmented mbuf).
/// In place, because a copy of fields just written waits until all of them have left the store
/// buffer.
inline void parse(
    std::span<const std::byte> frame, std::size_t frame_length, Parsed& parsed
) noexcept {
    parsed = Parsed{};
    FrameParser{frame, frame_length, parsed}.run();
}

inline Parsed parse(std::span<const std::byte> frame, std::size_t frame_length) noexcept {
    Parsed parsed;
    FrameParser{frame, frame_length, parsed}.run();
    return parsed;
}

}  // namespace nlvs::forwarding
