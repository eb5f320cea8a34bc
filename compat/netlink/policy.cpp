#include "compat/netlink/policy.hpp"

namespace nlvs::netlink {

namespace {

std::optional<Malformed> at_least(std::size_t size, Bytes payload) noexcept {
    if (payload.size() < size) return Malformed::out_of_range;
    return std::nullopt;
}

/// The NUL is looked for in the first `limit` + 1 bytes; its absence is the one EINVAL among the
/// length errors. A final NUL does not count towards the limit.
std::optional<Malformed> check_string(std::size_t limit, Bytes payload) noexcept {
    const std::size_t searched = limit != 0 ? std::min(payload.size(), limit + 1) : payload.size();
    if (std::ranges::find(payload.first(searched), std::byte{0}) == payload.first(searched).end()) {
        return Malformed::invalid;
    }
    const std::size_t length = payload.size() - (payload.back() == std::byte{0} ? 1 : 0);
    if (limit != 0 && length > limit) return Malformed::out_of_range;
    return std::nullopt;
}

}  // namespace

std::optional<Malformed> check(const AttributeRule& rule, Bytes payload) noexcept {
    switch (rule.kind) {
        case Kind::ignored:
            return std::nullopt;
        case Kind::u8:
            return at_least(sizeof(std::uint8_t), payload);
        case Kind::u16:
            return at_least(sizeof(std::uint16_t), payload);
        case Kind::u32:
            return at_least(sizeof(std::uint32_t), payload);
        case Kind::fixed:
            return at_least(rule.size, payload);
        case Kind::string:
            return check_string(rule.size, payload);
        case Kind::binary:
            if (payload.size() > rule.size) return Malformed::out_of_range;
            return std::nullopt;
        case Kind::nested:
            if (payload.empty()) return std::nullopt;
            return at_least(sizeof(nlattr), payload);
    }
    return Malformed::invalid;
}

std::string_view strict_objection(
    const AttributeRule& rule, const AttributeView& attribute
) noexcept {
    const std::size_t size = attribute.payload().size();
    const bool wrong_size = (rule.kind == Kind::u8 && size != sizeof(std::uint8_t)) ||
                            (rule.kind == Kind::u16 && size != sizeof(std::uint16_t)) ||
                            (rule.kind == Kind::u32 && size != sizeof(std::uint32_t));
    if (wrong_size) return "invalid attribute length";
    if (rule.kind == Kind::ignored) return "Unsupported attribute";
    const bool flagged = (net::load<nlattr>(header_of(attribute)).nla_type & NLA_F_NESTED) != 0;
    if (rule.kind == Kind::nested && !flagged) return "NLA_F_NESTED is missing";
    if (rule.kind != Kind::nested && flagged) return "NLA_F_NESTED not expected";
    return {};
}

}  // namespace nlvs::netlink
