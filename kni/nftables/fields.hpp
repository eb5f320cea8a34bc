#pragma once

#include "compat/net/big_endian.hpp"
#include "compat/netlink/attribute.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace nlvs::nftables {

/// The attributes of one nest by type; of a repeated one the last counts. nf_tables' numbers are
/// in network byte order. A view of the message.
class Fields {
public:
    explicit Fields(netlink::Bytes bytes) noexcept {
        while (const auto attribute = netlink::take_attribute(bytes)) {
            if (attribute->type() < most) attributes_[attribute->type()] = attribute->payload();
        }
    }

    bool has(unsigned type) const noexcept { return attributes_[type].has_value(); }

    netlink::Bytes bytes(unsigned type) const noexcept {
        return attributes_[type].value_or(netlink::Bytes{});
    }

    Fields nest(unsigned type) const noexcept { return Fields{bytes(type)}; }

    /// 0 when it is missing.
    std::uint32_t number(unsigned type) const noexcept {
        const auto value = net::extract<net::Be32>(bytes(type));
        return value ? value->host() : 0;
    }

    std::uint64_t long_number(unsigned type) const noexcept {
        const auto high = net::extract<net::Be32>(bytes(type));
        const auto low = net::extract<net::Be32>(bytes(type), sizeof(net::Be32));
        return high && low ? std::uint64_t{high->host()} << 32 | low->host() : 0;
    }

    std::string text(unsigned type) const { return netlink::AttributeView{0, bytes(type)}.text(); }

private:
    static constexpr unsigned most = 32;

    std::array<std::optional<netlink::Bytes>, most> attributes_;
};

}  // namespace nlvs::nftables
