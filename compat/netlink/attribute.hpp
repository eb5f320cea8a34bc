#pragma once

#include "compat/net/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <linux/netlink.h>

namespace nlvs::netlink {

using Bytes = std::span<const std::byte>;

/// Rounds up to the 4-byte boundary on which messages and attributes start.
constexpr std::size_t aligned(std::size_t size) noexcept {
    return (size + 3) & ~std::size_t{3};
}

/// One attribute: its type without the NLA_F_* bits, and its payload without padding.
/// A view: valid as long as the message it was taken from.
class AttributeView {
public:
    constexpr AttributeView(std::uint16_t type, Bytes payload) noexcept
        : type_{type}, payload_{payload} {}

    constexpr std::uint16_t type() const noexcept { return type_; }

    constexpr Bytes payload() const noexcept { return payload_; }

    /// The leading bytes as a T; missing ones are zero. Linux: lib/nlattr.c nla_memcpy.
    template <class T>
    T value() const noexcept {
        std::byte filled[sizeof(T)]{};
        for (std::size_t i = 0; i < sizeof(T) && i < payload_.size(); ++i) filled[i] = payload_[i];
        return net::load<T>(filled);
    }

    /// The payload up to its first NUL.
    std::string text() const {
        std::string result;
        for (const std::byte byte : payload_) {
            if (byte == std::byte{0}) break;
            result.push_back(static_cast<char>(byte));
        }
        return result;
    }

private:
    std::uint16_t type_;
    Bytes payload_;
};

/// Takes the next attribute off the front of `rest`; empty at the end and at the first header
/// that does not fit, where the kernel's walk ends without an error too.
/// Linux: include/net/netlink.h nla_ok, nla_next.
inline std::optional<AttributeView> take_attribute(Bytes& rest) noexcept {
    const auto header = net::extract<nlattr>(rest);
    if (!header || header->nla_len < sizeof(nlattr) || header->nla_len > rest.size()) return {};
    const AttributeView attribute{
        static_cast<std::uint16_t>(header->nla_type & NLA_TYPE_MASK),
        rest.subspan(sizeof(nlattr), header->nla_len - sizeof(nlattr))};
    const std::size_t step = aligned(header->nla_len);
    rest = step < rest.size() ? rest.subspan(step) : Bytes{};
    return attribute;
}

}  // namespace nlvs::netlink
