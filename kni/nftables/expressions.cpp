#include "kni/nftables/expressions.hpp"

#include "kni/nftables/fields.hpp"
#include "kni/nftables/xtables.hpp"

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>

namespace nlvs::nftables {
namespace {

constexpr std::size_t register_bytes = 64;

Expression condition(std::string reason) {
    return Inexpressible{std::move(reason), true, false};
}

Expression unknown_effect(std::string reason) {
    return Inexpressible{std::move(reason), false, false};
}

Expression not_understood(std::string_view name) {
    return unknown_effect(std::string{name} + " in a form that is not known");
}

/// Linux: nf_tables_api.c nft_parse_register. Empty for the verdict's and for unknown ones.
std::optional<Register> to_register(std::uint32_t number) noexcept {
    if (number >= NFT_REG_1 && number <= NFT_REG_4) {
        return static_cast<Register>((number - NFT_REG_1) * NFT_REG_SIZE);
    }
    if (number >= NFT_REG32_00 && number <= NFT_REG32_15) {
        return static_cast<Register>((number - NFT_REG32_00) * NFT_REG32_SIZE);
    }
    return std::nullopt;
}

std::optional<Register> register_for(std::uint32_t number, std::size_t length) noexcept {
    const auto found = to_register(number);
    if (!found || length == 0 || *found + length > register_bytes) return std::nullopt;
    return found;
}

Expression payload(const Fields& fields) {
    if (fields.has(NFTA_PAYLOAD_SREG)) return unknown_effect("a header field is written");
    LoadPayload load;
    const std::uint32_t length = fields.number(NFTA_PAYLOAD_LEN);
    const auto to = register_for(fields.number(NFTA_PAYLOAD_DREG), length);
    const std::uint32_t offset = fields.number(NFTA_PAYLOAD_OFFSET);
    if (!to || offset > 0xFFFF) return not_understood("payload");
    switch (fields.number(NFTA_PAYLOAD_BASE)) {
        case NFT_PAYLOAD_LL_HEADER:
            load.base = LoadPayload::Base::link;
            break;
        case NFT_PAYLOAD_NETWORK_HEADER:
            load.base = LoadPayload::Base::network;
            break;
        case NFT_PAYLOAD_TRANSPORT_HEADER:
            load.base = LoadPayload::Base::transport;
            break;
        default:
            return condition("a header inside the transport header is read");
    }
    load.offset = offset;
    load.length = static_cast<std::uint8_t>(length);
    load.to = *to;
    return load;
}

Expression set_meta(std::uint32_t key, std::uint32_t source) {
    switch (key) {
        case NFT_META_MARK: {
            const auto from = register_for(source, sizeof(std::uint32_t));
            return from ? Expression{SetMark{*from}} : not_understood("meta");
        }
        case NFT_META_PRIORITY:
        case NFT_META_NFTRACE:
        case NFT_META_SECMARK:
            return Neutral{};
        default:
            return unknown_effect("meta key " + std::to_string(key) + " is set");
    }
}

Expression meta(const Fields& fields) {
    const std::uint32_t key = fields.number(NFTA_META_KEY);
    if (fields.has(NFTA_META_SREG)) return set_meta(key, fields.number(NFTA_META_SREG));
    std::size_t length = sizeof(std::uint32_t);
    switch (key) {
        case NFT_META_LEN:
        case NFT_META_PROTOCOL:
        case NFT_META_MARK:
        case NFT_META_IIF:
        case NFT_META_NFPROTO:
        case NFT_META_L4PROTO:
        case NFT_META_PKTTYPE:
            break;
        case NFT_META_IIFNAME:
            length = 16;
            break;
        case NFT_META_OIF:
        case NFT_META_OIFNAME:
            return condition("the outgoing interface is not known yet");
        default:
            return condition("meta key " + std::to_string(key));
    }
    const auto to = register_for(fields.number(NFTA_META_DREG), length);
    return to ? Expression{LoadMeta{key, *to}} : not_understood("meta");
}

Expression tracking(const Fields& fields) {
    const std::uint32_t key = fields.number(NFTA_CT_KEY);
    const bool sets = fields.has(NFTA_CT_SREG);
    const auto place =
        register_for(fields.number(sets ? NFTA_CT_SREG : NFTA_CT_DREG), sizeof(std::uint32_t));
    if (!place) return not_understood("ct");
    if (sets)
        return key == NFT_CT_MARK ? Expression{SetTrackingMark{*place}} : Expression{Neutral{}};
    if (key == NFT_CT_MARK) return LoadTracking{true, *place};
    if (key == NFT_CT_STATE) return LoadTracking{false, *place};
    return condition("ct key " + std::to_string(key));
}

Expression compare(const Fields& fields) {
    Data data = decode_value(fields.bytes(NFTA_CMP_DATA));
    const auto from = register_for(fields.number(NFTA_CMP_SREG), data.size());
    const std::uint32_t relation = fields.number(NFTA_CMP_OP);
    if (!from || relation > NFT_CMP_GTE) return not_understood("cmp");
    return Compare{relation, *from, std::move(data)};
}

Expression compare_range(const Fields& fields) {
    Data lowest = decode_value(fields.bytes(NFTA_RANGE_FROM_DATA));
    Data highest = decode_value(fields.bytes(NFTA_RANGE_TO_DATA));
    const auto from = register_for(fields.number(NFTA_RANGE_SREG), lowest.size());
    if (!from || lowest.size() != highest.size()) return not_understood("range");
    const bool outside = fields.number(NFTA_RANGE_OP) == NFT_RANGE_NEQ;
    return CompareRange{outside, *from, std::move(lowest), std::move(highest)};
}

Expression bitwise(const Fields& fields) {
    if (fields.number(NFTA_BITWISE_OP) != 0) return condition("bits are shifted or combined");
    const std::uint32_t length = fields.number(NFTA_BITWISE_LEN);
    const auto from = register_for(fields.number(NFTA_BITWISE_SREG), length);
    const auto to = register_for(fields.number(NFTA_BITWISE_DREG), length);
    Data keep = decode_value(fields.bytes(NFTA_BITWISE_MASK));
    Data flip = decode_value(fields.bytes(NFTA_BITWISE_XOR));
    if (!from || !to || keep.size() != length || flip.size() != length) {
        return not_understood("bitwise");
    }
    return MaskBits{*from, *to, std::move(keep), std::move(flip)};
}

Expression byteorder(const Fields& fields) {
    const std::uint32_t length = fields.number(NFTA_BYTEORDER_LEN);
    const std::uint32_t size = fields.number(NFTA_BYTEORDER_SIZE);
    const auto from = register_for(fields.number(NFTA_BYTEORDER_SREG), length);
    const auto to = register_for(fields.number(NFTA_BYTEORDER_DREG), length);
    if (!from || !to || (size != 2 && size != 4 && size != 8)) return not_understood("byteorder");
    return SwapBytes{
        *from, *to, static_cast<std::uint8_t>(length), static_cast<std::uint8_t>(size)};
}

Expression lookup(const Fields& fields) {
    Lookup result;
    const auto from = to_register(fields.number(NFTA_LOOKUP_SREG));
    if (!from) return not_understood("lookup");
    result.set = fields.text(NFTA_LOOKUP_SET);
    result.from = *from;
    result.inverted = (fields.number(NFTA_LOOKUP_FLAGS) & NFT_LOOKUP_F_INV) != 0;
    if (fields.has(NFTA_LOOKUP_DREG)) {
        const std::uint32_t target = fields.number(NFTA_LOOKUP_DREG);
        result.is_verdict = target == NFT_REG_VERDICT;
        if (!result.is_verdict) {
            result.to = to_register(target);
            if (!result.to) return not_understood("lookup");
        }
    }
    return result;
}

Expression immediate(const Fields& fields) {
    const netlink::Bytes data = fields.bytes(NFTA_IMMEDIATE_DATA);
    const std::uint32_t target = fields.number(NFTA_IMMEDIATE_DREG);
    if (target == NFT_REG_VERDICT) {
        auto verdict = decode_verdict(data);
        return verdict ? Expression{std::move(*verdict)} : not_understood("verdict");
    }
    Data value = decode_value(data);
    const auto to = register_for(target, value.size());
    return to ? Expression{LoadConstant{std::move(value), *to}} : not_understood("immediate");
}

Expression object_reference(const Fields& fields) {
    switch (fields.number(NFTA_OBJREF_IMM_TYPE)) {
        case NFT_OBJECT_QUOTA:
            return condition("a quota");
        case NFT_OBJECT_LIMIT:
            return condition("a rate limit");
        case NFT_OBJECT_CONNLIMIT:
            return condition("a limit of connections");
        case NFT_OBJECT_SYNPROXY:
            return HandToKernel{};
        case NFT_OBJECT_UNSPEC:
            return condition("a map of objects");
        default:
            return Neutral{};
    }
}

using Decoder = Expression (*)(const Fields&);

template <class Kind>
Expression plain(const Fields&) {
    return Kind{};
}

constexpr std::array<std::pair<std::string_view, Decoder>, 24> decoders{{
    {"payload", payload},
    {"meta", meta},
    {"ct", tracking},
    {"cmp", compare},
    {"range", compare_range},
    {"bitwise", bitwise},
    {"byteorder", byteorder},
    {"lookup", lookup},
    {"immediate", immediate},
    {"objref", object_reference},
    {"counter", plain<Neutral>},
    {"log", plain<Neutral>},
    {"last", plain<Neutral>},
    {"dup", plain<Neutral>},
    {"notrack", plain<StopTracking>},
    {"reject", plain<HandToKernel>},
    {"tproxy", plain<HandToKernel>},
    {"synproxy", plain<HandToKernel>},
    {"queue", plain<HandToKernel>},
    {"fwd", plain<HandToKernel>},
    {"nat", plain<HandToKernel>},
    {"masq", plain<HandToKernel>},
    {"redir", plain<HandToKernel>},
    {"flow_offload", plain<Neutral>},
}};

void decode_expression(const Fields& expression, std::vector<Expression>& to) {
    const std::string name = expression.text(NFTA_EXPR_NAME);
    const Fields fields = expression.nest(NFTA_EXPR_DATA);
    if (name == "match" || name == "target") {
        const bool is_match = name == "match";
        auto decoded = is_match ? decode_match(
                                      fields.text(NFTA_MATCH_NAME),
                                      fields.number(NFTA_MATCH_REV),
                                      fields.bytes(NFTA_MATCH_INFO)
                                  )
                                : decode_target(
                                      fields.text(NFTA_TARGET_NAME),
                                      fields.number(NFTA_TARGET_REV),
                                      fields.bytes(NFTA_TARGET_INFO)
                                  );
        for (Expression& each : decoded) to.push_back(std::move(each));
        return;
    }
    for (const auto& [known, decode] : decoders) {
        if (known == name) return to.push_back(decode(fields));
    }
    to.push_back(condition(name));
}

}  // namespace

std::vector<Expression> decode_expressions(netlink::Bytes list) {
    std::vector<Expression> result;
    while (const auto element = netlink::take_attribute(list)) {
        if (element->type() != NFTA_LIST_ELEM) continue;
        decode_expression(Fields{element->payload()}, result);
    }
    return result;
}

std::optional<Verdict> decode_verdict(netlink::Bytes data) {
    const Fields fields{data};
    if (!fields.has(NFTA_DATA_VERDICT)) return std::nullopt;
    const Fields verdict = fields.nest(NFTA_DATA_VERDICT);
    const auto code = static_cast<std::int32_t>(verdict.number(NFTA_VERDICT_CODE));
    std::string chain = verdict.text(NFTA_VERDICT_CHAIN);
    switch (code) {
        case NF_DROP:
            return Verdict{Verdict::Kind::drop, {}};
        case NF_ACCEPT:
            return Verdict{Verdict::Kind::accept, {}};
        case NFT_CONTINUE:
            return Verdict{Verdict::Kind::proceed, {}};
        case NFT_BREAK:
            return Verdict{Verdict::Kind::next_rule, {}};
        case NFT_JUMP:
            return Verdict{Verdict::Kind::jump, std::move(chain)};
        case NFT_GOTO:
            return Verdict{Verdict::Kind::go_to, std::move(chain)};
        case NFT_RETURN:
            return Verdict{Verdict::Kind::return_, {}};
        default:
            return Verdict{Verdict::Kind::queue, {}};
    }
}

Data decode_value(netlink::Bytes data) {
    const netlink::Bytes value = Fields{data}.bytes(NFTA_DATA_VALUE);
    return {value.begin(), value.end()};
}

}  // namespace nlvs::nftables
