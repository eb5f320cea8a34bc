#pragma once

#include "kni/nftables/ruleset.hpp"
#include "kni/nftables/selection.hpp"
#include "tests/support/packet_builder.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>

#include <linux/netfilter/nf_tables.h>

namespace nlvs::test {

using namespace nftables;

/// The rules carried out one after the other on the values themselves; what only the kernel knows
/// is decided by lot.
class NaiveRules {
public:
    NaiveRules(const Table& table, const Bytes& frame, unsigned lot)
        : table_{table}, ip_{frame.data() + 14}, lot_{lot} {}

    enum class End : std::uint8_t { marked, kernel };

    End run() {
        const Selection selection = select(table_);
        for (const Chain* chain : selection.hooks) {
            const Result result = run(*chain);
            if (result == Result::kernel) return End::kernel;
            if (result != Result::accept && chain->drops) return End::kernel;
        }
        return End::marked;
    }

    std::uint32_t mark = 0;

private:
    enum class Result : std::uint8_t { next, broken, accept, kernel, returned };

    Result run(const Chain& chain) {
        for (const Rule& rule : chain.rules) {
            for (const Expression& expression : rule.expressions) {
                const Result result =
                    std::visit([this](const auto& each) { return step(each); }, expression);
                if (result == Result::broken) break;
                if (result != Result::next) return result;
            }
        }
        return Result::returned;
    }

    static Result held(bool condition) { return condition ? Result::next : Result::broken; }

    bool by_lot() { return lot_() % 2 == 0; }

    Result verdict(const Verdict& verdict) {
        using Kind = Verdict::Kind;
        switch (verdict.kind) {
            case Kind::accept:
                return Result::accept;
            case Kind::drop:
            case Kind::queue:
                return Result::kernel;
            case Kind::proceed:
                return Result::next;
            case Kind::next_rule:
                return Result::broken;
            case Kind::return_:
                return Result::returned;
            case Kind::jump: {
                const Result result = run(*table_.chain(verdict.chain));
                return result == Result::returned ? Result::broken : result;
            }
            case Kind::go_to:
                return run(*table_.chain(verdict.chain));
        }
        return Result::next;
    }

    std::byte* at(Register place) { return &registers_[place]; }

    std::uint32_t number(Register place) {
        std::uint32_t value;
        std::memcpy(&value, at(place), 4);
        return value;
    }

    void store(Register place, std::uint32_t value) { std::memcpy(at(place), &value, 4); }

    Result step(const LoadPayload& load) {
        const std::byte* base = load.base == LoadPayload::Base::network ? ip_ : ip_ + 20;
        std::memset(at(load.to), 0, 4);
        std::memcpy(at(load.to), base + load.offset, load.length);
        return Result::next;
    }

    Result step(const LoadMeta& load) {
        store(load.to, load.key == NFT_META_MARK ? mark : std::to_integer<std::uint32_t>(ip_[9]));
        return Result::next;
    }

    Result step(const LoadTracking& load) {
        store(load.to, tracking_mark_);
        return Result::next;
    }

    Result step(const LoadConstant& load) {
        std::memcpy(at(load.to), load.data.data(), load.data.size());
        return Result::next;
    }

    Result step(const MaskBits& mask) {
        for (std::size_t i = 0; i < mask.keep.size(); ++i) {
            registers_[mask.to + i] = (registers_[mask.from + i] & mask.keep[i]) ^ mask.flip[i];
        }
        return Result::next;
    }

    Result step(const Compare& compare) {
        const int order = std::memcmp(at(compare.from), compare.data.data(), compare.data.size());
        switch (compare.relation) {
            case NFT_CMP_EQ:
                return held(order == 0);
            case NFT_CMP_NEQ:
                return held(order != 0);
            case NFT_CMP_LT:
                return held(order < 0);
            case NFT_CMP_LTE:
                return held(order <= 0);
            case NFT_CMP_GT:
                return held(order > 0);
            default:
                return held(order >= 0);
        }
    }

    Result step(const CompareRange& range) {
        const Data value{at(range.from), at(range.from) + range.lowest.size()};
        return held((range.lowest <= value && value <= range.highest) != range.outside);
    }

    const Element* find(const Set& set, const Data& key) {
        const Element* fallback = nullptr;
        const Element* below_key = nullptr;
        for (const Element& element : set.elements) {
            if (element.catch_all) {
                fallback = &element;
            } else if (!set.field_lengths.empty()) {
                const auto inside = [&](std::size_t from, std::size_t to) {
                    const auto part = [&](const Data& data) {
                        return Data{
                            data.begin() + static_cast<std::ptrdiff_t>(from),
                            data.begin() + static_cast<std::ptrdiff_t>(to)};
                    };
                    return part(element.key) <= part(key) && part(key) <= part(element.key_end);
                };
                if (inside(0, 4) && inside(4, 6)) return &element;
            } else if ((set.flags & NFT_SET_INTERVAL) != 0) {
                if (element.key <= key && (below_key == nullptr || below_key->key <= element.key))
                    below_key = &element;
            } else if (element.key == key) {
                return &element;
            }
        }
        return below_key != nullptr && !below_key->interval_end ? below_key : fallback;
    }

    Result step(const Lookup& lookup) {
        const Set& set = *table_.set(lookup.set);
        const Element* found = find(set, {at(lookup.from), at(lookup.from) + set.key_length});
        if (!lookup.to && !lookup.is_verdict) return held((found != nullptr) != lookup.inverted);
        if (found == nullptr) return Result::broken;
        if (lookup.is_verdict) return verdict(*found->verdict);
        std::memcpy(at(*lookup.to), found->value.data(), found->value.size());
        return Result::next;
    }

    Result step(const MatchPorts& match) {
        const auto port = [this](std::size_t offset) {
            return std::to_integer<unsigned>(ip_[20 + offset]) << 8 |
                   std::to_integer<unsigned>(ip_[21 + offset]);
        };
        bool found = false;
        for (const auto& [first, last] : match.ranges) {
            found |= match.source && first <= port(0) && port(0) <= last;
            found |= match.destination && first <= port(2) && port(2) <= last;
        }
        return held(found != match.inverted);
    }

    Result step(const MatchMark& match) {
        return held(((mark & match.mask) == match.value) != match.inverted);
    }

    Result step(const SetMark& effect) {
        mark = number(effect.from);
        return Result::next;
    }

    Result step(const SetTrackingMark& effect) {
        tracking_mark_ = number(effect.from);
        return Result::next;
    }

    Result step(const ChangeMark& effect) {
        mark = (mark & effect.keep) ^ effect.flip;
        return Result::next;
    }

    Result step(const Verdict& effect) { return verdict(effect); }

    Result step(const HandToKernel&) { return Result::kernel; }

    Result step(const Inexpressible& unknown) {
        if (unknown.sets_mark) mark = 1000 + static_cast<std::uint32_t>(lot_() % 5);
        return held(unknown.sets_mark || by_lot());
    }

    /// Not in random rules, or without effect.
    template <class Other>
    Result step(const Other&) {
        return Result::next;
    }

    const Table& table_;
    const std::byte* ip_;
    std::minstd_rand lot_;
    std::array<std::byte, 64> registers_{};
    std::uint32_t tracking_mark_ = 0;
};

}  // namespace nlvs::test
