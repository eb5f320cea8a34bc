#pragma once

#include "compat/netlink/attribute.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <initializer_list>
#include <optional>
#include <string_view>

namespace nlvs::netlink {

/// What an attribute must look like, by the kernel's liberal rules: integers may be longer than
/// needed (the first bytes count), unknown attributes and trailing bytes are ignored. By its strict
/// rules, which newer commands have, nothing is.
enum class Rules : std::uint8_t { liberal, strict };

enum class Kind : std::uint8_t {
    ignored,  ///< known, never checked
    u8,
    u16,
    u32,
    string,  ///< NUL-terminated, at most `size` characters
    binary,  ///< at most `size` bytes
    fixed,   ///< at least `size` bytes
    nested,  ///< empty, or room for one attribute header
};

struct AttributeRule {
    std::uint16_t id;
    Kind kind;
    std::uint16_t size = 0;
};

/// What is said about a request besides an errno. Views into the request and static text.
/// Linux: include/linux/netlink.h netlink_ext_ack.
struct ExtendedAck {
    std::string_view text;                 ///< empty: nothing to say
    const std::byte* attribute = nullptr;  ///< header of the refused attribute
    AttributeRule rule{};                  ///< what that had to be
};

/// Why a payload was refused: the kernel's EINVAL and ERANGE.
enum class Malformed : std::uint8_t { invalid, out_of_range };

/// Checks one payload. Linux: lib/nlattr.c validate_nla with NL_VALIDATE_LIBERAL.
std::optional<Malformed> check(const AttributeRule& rule, Bytes payload) noexcept;

/// Where an attribute starts in the message that it was taken from.
inline const std::byte* header_of(const AttributeView& attribute) noexcept {
    return attribute.payload().data() - sizeof(nlattr);
}

/// What more NL_VALIDATE_STRICT wants of an attribute that is known; empty: nothing is wrong.
std::string_view strict_objection(
    const AttributeRule& rule, const AttributeView& attribute
) noexcept;

/// The attributes up to number `max`, as one table that reads like the kernel's nla_policy.
template <std::size_t max>
class Policy {
public:
    constexpr Policy(std::initializer_list<AttributeRule> rules) {
        for (std::uint16_t id = 0; id <= max; ++id) rules_[id] = {id, Kind::ignored};
        for (const AttributeRule& rule : rules) rules_.at(rule.id) = rule;
    }

    constexpr const AttributeRule& operator[](std::size_t id) const noexcept { return rules_[id]; }

private:
    std::array<AttributeRule, max + 1> rules_{};
};

/// The attributes of one nest by number. Of several with one number the last counts.
template <std::size_t max>
class Attributes {
public:
    /// Every attribute with a known number is checked, duplicates too. What there is to say goes
    /// to `said`, also about what is accepted. Linux: lib/nlattr.c __nla_validate_parse.
    static std::expected<Attributes, Malformed> parse(
        Bytes bytes,
        const Policy<max>& policy,
        ExtendedAck* said = nullptr,
        Rules rules = Rules::liberal
    ) noexcept {
        ExtendedAck nobody;
        ExtendedAck& ack = said != nullptr ? *said : nobody;
        Attributes result;
        while (const auto attribute = take_attribute(bytes)) {
            const std::size_t id = attribute->type();
            const bool known = id != 0 && id <= max;
            if (!known && rules == Rules::liberal) continue;
            const auto refuse = [&](std::string_view why, Malformed how) {
                ack = {why, header_of(*attribute), known ? policy[id] : AttributeRule{}};
                return std::unexpected{how};
            };
            if (!known) return refuse(unknown, Malformed::invalid);
            if (rules == Rules::strict) {
                const std::string_view wrong = strict_objection(policy[id], *attribute);
                if (!wrong.empty()) return refuse(wrong, Malformed::invalid);
            }
            if (const auto bad = check(policy[id], attribute->payload())) {
                return refuse(refused, *bad);
            }
            result.found_[id] = attribute;
        }
        if (bytes.empty()) return result;
        ack.text = leftover;
        if (rules == Rules::strict) return std::unexpected{Malformed::invalid};
        return result;
    }

    const std::optional<AttributeView>& operator[](std::size_t id) const noexcept {
        return found_[id];
    }

    bool has(std::initializer_list<std::size_t> ids) const noexcept {
        return std::ranges::all_of(ids, [this](std::size_t id) { return found_[id].has_value(); });
    }

    /// The value of attribute `id`, or `absent`.
    template <class T>
    T value_or(std::size_t id, T absent) const noexcept {
        return found_[id] ? found_[id]->template value<T>() : absent;
    }

private:
    static constexpr std::string_view unknown = "Unknown attribute type";
    static constexpr std::string_view refused = "Attribute failed policy validation";
    static constexpr std::string_view leftover = "bytes leftover after parsing attributes";

    std::array<std::optional<AttributeView>, max + 1> found_;
};

}  // namespace nlvs::netlink
