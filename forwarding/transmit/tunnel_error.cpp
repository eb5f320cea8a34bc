#include "forwarding/transmit/tunnel_error.hpp"

#include "compat/net/bytes.hpp"
#include "compat/net/ip_protocol.hpp"
#include "forwarding/packet/headers/ethernet.hpp"
#include "forwarding/packet/headers/gre.hpp"
#include "forwarding/packet/headers/gue.hpp"
#include "forwarding/packet/headers/ipv4.hpp"
#include "forwarding/packet/headers/udp.hpp"

#include <algorithm>

namespace nlvs::forwarding {
namespace {

/// The embedded packet beyond its outer IP header; every look is checked against its end.
class Quotation {
public:
    Quotation(std::span<const std::byte> frame, const Parsed& parsed) noexcept
        : frame_{frame.first(std::min<std::size_t>(
              frame.size(), std::size_t{parsed.l3_offset} + parsed.l3_length
          ))} {}

    template <class Header>
    const Header* at(std::size_t offset) const noexcept {
        if (offset + sizeof(Header) > frame_.size()) return nullptr;
        return net::header_at<Header>(frame_.data() + offset);
    }

    std::size_t end() const noexcept { return frame_.size(); }

private:
    std::span<const std::byte> frame_;
};

constexpr std::uint8_t ipip = static_cast<std::uint8_t>(net::IpProtocol::ipip);

/// Bytes between the outer and the inner IP header, or none.
std::optional<std::size_t> gue_length(const Quotation& quotation, std::size_t at) noexcept {
    const auto* gue = quotation.at<GueHeader>(at + sizeof(UdpHeader));
    if (gue == nullptr || gue->protocol != ipip) return std::nullopt;
    constexpr std::uint8_t version_and_control = 0xE0;
    constexpr std::uint8_t words = 0x1F;
    if ((gue->version_control_length & version_and_control) != 0) return std::nullopt;
    return sizeof(UdpHeader) + sizeof(GueHeader) + (gue->version_control_length & words) * std::size_t{4};
}

std::optional<std::size_t> gre_length(const Quotation& quotation, std::size_t at) noexcept {
    const auto* gre = quotation.at<GreHeader>(at);
    if (gre == nullptr || gre->protocol.get().host() != static_cast<std::uint16_t>(EtherType::ipv4)) {
        return std::nullopt;
    }
    const std::uint16_t flags = gre->flags_and_version.get().host();
    if ((flags & ~GreHeader::checksum_present) != 0) return std::nullopt;
    return sizeof(GreHeader) + (flags != 0 ? sizeof(GreChecksum) : 0);
}

}  // namespace

std::optional<Tunnelled> find_tunnelled(
    std::span<const std::byte> frame, const Parsed& parsed
) noexcept {
    const Quotation quotation{frame, parsed};
    const auto* outer = quotation.at<Ipv4Header>(parsed.inner_l3_offset);
    if (outer == nullptr) return std::nullopt;
    Tunnelled found;
    std::optional<std::size_t> between;
    switch (net::IpProtocol{outer->protocol}) {
        case net::IpProtocol::ipip: between = 0; break;
        case net::IpProtocol::udp:
            found.type = ipvs::TunnelType::gue;
            between = gue_length(quotation, parsed.inner_l4_offset);
            break;
        case net::IpProtocol::gre:
            found.type = ipvs::TunnelType::gre;
            between = gre_length(quotation, parsed.inner_l4_offset);
            break;
        default: break;
    }
    if (!between) return std::nullopt;
    const std::size_t l3 = parsed.inner_l4_offset + *between;
    const auto* inner = quotation.at<Ipv4Header>(l3);
    if (inner == nullptr || inner->version() != 4 || inner->length() < sizeof(Ipv4Header) ||
        inner->is_later_fragment()) {
        return std::nullopt;
    }
    const auto* ports = quotation.at<UdpHeader>(l3 + inner->length());
    if (ports == nullptr) return std::nullopt;
    found.server = outer->destination;
    found.flow = {inner->source, inner->destination, ports->source_port, ports->destination_port, inner->protocol};
    found.l3_offset = static_cast<std::uint16_t>(l3);
    found.l3_length = static_cast<std::uint16_t>(
        std::min<std::size_t>(inner->total_length.host(), quotation.end() - l3)
    );
    found.dont_fragment = !inner->may_be_fragmented();
    return found;
}

}  // namespace nlvs::forwarding
