#include "daemon/mark_rule_compiler.hpp"

#include "compat/net/bytes.hpp"

#include <algorithm>
#include <span>
#include <type_traits>

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

namespace nlvs::daemon {
namespace {

using forwarding::AddressMatch;
using forwarding::PortMatch;
using forwarding::Relation;
using nftables::Expression;

bool has_effect(const Expression& expression) noexcept {
    return std::visit(
        []<class Kind>(const Kind& each) {
            if constexpr (std::is_same_v<Kind, nftables::Inexpressible>) {
                return each.sets_mark || !each.restricts_only;
            } else if constexpr (std::is_same_v<Kind, nftables::Lookup>) {
                return each.is_verdict;
            } else if constexpr (std::is_same_v<Kind, nftables::Verdict>) {
                return each.kind != nftables::Verdict::Kind::proceed;
            } else {
                return std::is_same_v<Kind, nftables::SetMark> ||
                       std::is_same_v<Kind, nftables::SetTrackingMark> ||
                       std::is_same_v<Kind, nftables::ChangeMark> ||
                       std::is_same_v<Kind, nftables::StopTracking> ||
                       std::is_same_v<Kind, nftables::HandToKernel>;
            }
        },
        expression
    );
}

Relation to_relation(std::uint32_t number) noexcept {
    switch (number) {
        case NFT_CMP_EQ:
            return Relation::equal;
        case NFT_CMP_NEQ:
            return Relation::unequal;
        case NFT_CMP_LT:
            return Relation::less;
        case NFT_CMP_LTE:
            return Relation::at_most;
        case NFT_CMP_GT:
            return Relation::greater;
        default:
            return Relation::at_least;
    }
}

std::uint8_t byte_of(std::size_t number) noexcept {
    return static_cast<std::uint8_t>(number);
}

std::uint8_t flag_of(bool flag, std::uint8_t bit = 1) noexcept {
    return flag ? bit : std::uint8_t{0};
}

}  // namespace

std::optional<std::string> MarkRuleCompiler::compile(const nftables::Rule& rule) {
    if (std::ranges::none_of(rule.expressions, has_effect)) return std::nullopt;
    reason_.clear();
    uncertain_ = false;
    tainted_ = 0;
    const std::size_t first = program_.steps.size();
    for (const Expression& expression : rule.expressions) {
        std::visit([this](const auto& each) { emit(each); }, expression);
    }
    const std::span steps{program_.steps};
    for (Step& step : steps.subspan(first)) {
        step.next_rule = static_cast<std::uint32_t>(program_.steps.size());
    }
    return reason_;
}

std::uint64_t MarkRuleCompiler::bits(std::size_t place, std::size_t length) noexcept {
    const std::uint64_t all = length >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << length) - 1;
    return place >= 64 ? 0 : all << place;
}

/// Writing to a part of a word clears the rest of it.
void MarkRuleCompiler::set_tainted(std::size_t place, std::size_t length, bool tainted) noexcept {
    const std::uint64_t written = bits(place, (length + 3) / 4 * 4);
    tainted_ = tainted ? tainted_ | written : tainted_ & ~written;
}

void MarkRuleCompiler::doubt(std::string reason) {
    uncertain_ = true;
    if (reason_.empty()) reason_ = std::move(reason);
}

std::uint32_t MarkRuleCompiler::add_constant(const nftables::Data& data) {
    const auto place = static_cast<std::uint32_t>(program_.constants.size());
    program_.constants.insert(program_.constants.end(), data.begin(), data.end());
    return place;
}

std::uint32_t MarkRuleCompiler::add_words(const std::vector<std::uint32_t>& words) {
    const auto bytes = std::as_bytes(std::span{words});
    return add_constant({bytes.begin(), bytes.end()});
}

void MarkRuleCompiler::add_effect(Step step, Operation instead) {
    if (uncertain_) step = {.operation = instead};
    add(step);
}

void MarkRuleCompiler::emit(const nftables::LoadPayload& load) {
    using Base = nftables::LoadPayload::Base;
    auto operation = Operation::load_transport;
    if (load.base == Base::link) operation = Operation::load_link;
    if (load.base == Base::network) operation = Operation::load_network;
    add({.operation = operation, .to = load.to, .length = load.length, .constant = load.offset});
    set_tainted(load.to, load.length, false);
}

void MarkRuleCompiler::emit(const nftables::LoadMeta& load) {
    Step step{.to = load.to, .length = sizeof(std::uint32_t)};
    switch (load.key) {
        case NFT_META_LEN:
            step.operation = Operation::load_packet_length;
            break;
        case NFT_META_PROTOCOL:
            step.operation = Operation::load_ether_type;
            break;
        case NFT_META_MARK:
            step.operation = Operation::load_mark;
            break;
        case NFT_META_IIF:
            step.operation = Operation::load_interface;
            break;
        case NFT_META_NFPROTO:
            step.operation = Operation::load_family;
            break;
        case NFT_META_L4PROTO:
            step.operation = Operation::load_protocol;
            break;
        case NFT_META_PKTTYPE:
            step.operation = Operation::load_packet_type;
            break;
        default:
            step.operation = Operation::load_interface_name;
            step.length = sizeof(forwarding::MarkInterface::name);
            break;
    }
    add(step);
    set_tainted(step.to, step.length, false);
}

void MarkRuleCompiler::emit(const nftables::LoadTracking& load) {
    add({
        .operation = load.mark ? Operation::load_tracking_mark : Operation::load_tracking_state,
        .to = load.to,
    });
    set_tainted(load.to, sizeof(std::uint32_t), false);
}

void MarkRuleCompiler::emit(const nftables::LoadConstant& load) {
    add({
        .operation = Operation::load_constant,
        .to = load.to,
        .length = byte_of(load.data.size()),
        .constant = add_constant(load.data),
    });
    set_tainted(load.to, load.data.size(), false);
}

void MarkRuleCompiler::emit(const nftables::MaskBits& mask) {
    const bool tainted = is_tainted(mask.from, mask.keep.size());
    set_tainted(mask.to, mask.keep.size(), tainted);
    if (tainted) return;
    const std::uint32_t constant = add_constant(mask.keep);
    add_constant(mask.flip);
    add({
        .operation = Operation::mask,
        .from = mask.from,
        .to = mask.to,
        .length = byte_of(mask.keep.size()),
        .constant = constant,
    });
}

void MarkRuleCompiler::emit(const nftables::SwapBytes& swap) {
    const bool tainted = is_tainted(swap.from, swap.length);
    set_tainted(swap.to, swap.length, tainted);
    if (tainted) return;
    add({
        .operation = Operation::swap_bytes,
        .from = swap.from,
        .to = swap.to,
        .length = swap.length,
        .constant = swap.size,
    });
}

void MarkRuleCompiler::emit(const nftables::Compare& comparison) {
    if (is_tainted(comparison.from, comparison.data.size())) return;
    add({
        .operation = Operation::compare,
        .from = comparison.from,
        .length = byte_of(comparison.data.size()),
        .option = static_cast<std::uint8_t>(to_relation(comparison.relation)),
        .constant = add_constant(comparison.data),
    });
}

void MarkRuleCompiler::emit(const nftables::CompareRange& range) {
    if (is_tainted(range.from, range.lowest.size())) return;
    const std::uint32_t constant = add_constant(range.lowest);
    add_constant(range.highest);
    add({
        .operation = range.outside ? Operation::outside : Operation::within,
        .from = range.from,
        .length = byte_of(range.lowest.size()),
        .constant = constant,
    });
}

void MarkRuleCompiler::emit(const nftables::MatchPorts& match) {
    std::vector<std::uint32_t> ranges;
    for (const auto& [first, last] : match.ranges) {
        ranges.push_back(std::uint32_t{last} << 16 | first);
    }
    add({
        .operation = Operation::match_ports,
        .length = byte_of(ranges.size()),
        .option = static_cast<std::uint8_t>(
            flag_of(match.source, PortMatch::source) |
            flag_of(match.destination, PortMatch::destination) |
            flag_of(match.inverted, PortMatch::inverted)
        ),
        .constant = add_words(ranges),
    });
}

void MarkRuleCompiler::emit(const nftables::MatchTcpFlags& match) {
    add({
        .operation = Operation::match_tcp_flags,
        .option = flag_of(match.inverted),
        .constant = add_words({match.mask, match.value}),
    });
}

void MarkRuleCompiler::emit(const nftables::MatchMark& match) {
    add({
        .operation = Operation::match_mark,
        .option = flag_of(match.inverted),
        .constant = add_words({match.mask, match.value}),
    });
}

void MarkRuleCompiler::emit(const nftables::MatchTracking& match) {
    add({
        .operation = Operation::match_tracking,
        .option = flag_of(match.inverted),
        .constant = add_words({match.states}),
    });
}

void MarkRuleCompiler::emit(const nftables::MatchAddresses& match) {
    const std::size_t length = family_ == NFPROTO_IPV4 ? 4 : 16;
    if (match.first.size() < length || match.last.size() < length) {
        return doubt("match iprange is cut short");
    }
    const auto cut = [length](const nftables::Data& data) {
        return nftables::Data{data.begin(), data.begin() + static_cast<std::ptrdiff_t>(length)};
    };
    const std::uint32_t constant = add_constant(cut(match.first));
    add_constant(cut(match.last));
    add({
        .operation = Operation::match_addresses,
        .length = byte_of(length),
        .option = static_cast<std::uint8_t>(
            flag_of(match.source, AddressMatch::source) |
            flag_of(match.inverted, AddressMatch::inverted)
        ),
        .constant = constant,
    });
}

void MarkRuleCompiler::emit(const nftables::SetMark& effect) {
    const bool tainted = is_tainted(effect.from, sizeof(std::uint32_t));
    if (tainted) return add({.operation = Operation::poison});
    add_effect({.operation = Operation::set_mark, .from = effect.from}, Operation::poison);
}

void MarkRuleCompiler::emit(const nftables::SetTrackingMark& effect) {
    const bool tainted = is_tainted(effect.from, sizeof(std::uint32_t));
    if (tainted) return add({.operation = Operation::undecided});
    add_effect(
        {.operation = Operation::set_tracking_mark, .from = effect.from}, Operation::undecided
    );
}

void MarkRuleCompiler::emit(const nftables::ChangeMark& effect) {
    const std::uint32_t constant = add_words({effect.keep, effect.flip});
    add_effect({.operation = Operation::change_mark, .constant = constant}, Operation::poison);
}

void MarkRuleCompiler::emit(const nftables::StopTracking&) {
    add_effect({.operation = Operation::stop_tracking}, Operation::undecided);
}

void MarkRuleCompiler::emit(const nftables::HandToKernel&) {
    add_effect({.operation = Operation::hand_to_kernel}, Operation::undecided);
}

void MarkRuleCompiler::emit(const nftables::Verdict& verdict) {
    if (verdict.kind == nftables::Verdict::Kind::proceed) return;
    if (!verdict.chain.empty() && !uncertain_) {
        calls_.emplace_back(program_.steps.size(), table_.chain(verdict.chain));
    }
    add_effect({.operation = to_verdict(verdict).operation}, Operation::undecided);
}

void MarkRuleCompiler::emit(const nftables::Inexpressible& unknown) {
    doubt(unknown.reason);
    tainted_ = ~std::uint64_t{0};
    if (unknown.sets_mark) return add({.operation = Operation::poison});
    if (!unknown.restricts_only) add({.operation = Operation::undecided});
}

}  // namespace nlvs::daemon
