#include "daemon/mark_sets.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <linux/netfilter/nf_tables.h>

namespace nlvs::daemon {
namespace {

using forwarding::KeyBytes;
using forwarding::KeySet;
using Elements = std::vector<const nftables::Element*>;

std::expected<KeySet, std::string> exact_keys(const nftables::Set& set, const Elements& elements) {
    std::vector<KeyBytes> keys;
    for (const auto* element : elements) keys.push_back(element->key);
    return KeySet::exact(set.key_length, keys);
}

std::expected<KeySet, std::string> interval_keys(
    const nftables::Set& set, const Elements& elements
) {
    std::vector<KeySet::Boundary> boundaries;
    for (std::uint32_t i = 0; i < elements.size(); ++i) {
        boundaries.push_back({elements[i]->key, elements[i]->interval_end ? KeySet::none : i});
    }
    return KeySet::boundaries(set.key_length, std::move(boundaries));
}

std::expected<KeySet, std::string> range_keys(const nftables::Set& set, const Elements& elements) {
    std::size_t length = 0;
    for (const std::size_t field : set.field_lengths) length += (field + 3) / 4 * 4;
    if (length != set.key_length)
        return std::unexpected{"set @" + set.name + " has unknown fields"};
    std::vector<KeySet::Range> ranges;
    for (const auto* element : elements) {
        const auto& last = element->key_end.empty() ? element->key : element->key_end;
        if (last.size() != length)
            return std::unexpected{"set @" + set.name + " has unknown ranges"};
        ranges.push_back({element->key, last});
    }
    auto keys = KeySet::ranges(set.field_lengths, ranges);
    if (!keys) return std::unexpected{"the ranges of set @" + set.name + " are too many"};
    return std::move(*keys);
}

std::expected<KeySet, std::string> make_keys(const nftables::Set& set, const Elements& elements) {
    if ((set.flags & NFT_SET_INTERVAL) == 0) return exact_keys(set, elements);
    if (set.field_lengths.size() > 1) return range_keys(set, elements);
    return interval_keys(set, elements);
}

std::optional<std::string> refusal(const nftables::Set& set) {
    const std::string name = "set @" + set.name;
    if ((set.flags & NFT_SET_EVAL) != 0) return name + " is changed by packets";
    if (set.key_length == 0 || set.key_length > KeySet::longest_key)
        return name + " has a long key";
    if (set.value_length > forwarding::MarkProgram::registers) return name + " has a long value";
    for (const auto& element : set.elements) {
        if (element.conditional) return name + " has elements with a limit";
        if (!element.catch_all && element.key.size() != set.key_length) {
            return name + " has an unknown element";
        }
    }
    return std::nullopt;
}

}  // namespace

std::expected<CompiledSet, std::string> compile_set(const nftables::Set& set) {
    if (auto reason = refusal(set)) return std::unexpected{std::move(*reason)};
    Elements elements;
    const nftables::Element* fallback = nullptr;
    for (const auto& element : set.elements) {
        if (element.catch_all) {
            fallback = &element;
        } else {
            elements.push_back(&element);
        }
    }
    auto keys = make_keys(set, elements);
    if (!keys) return std::unexpected{keys.error()};
    if (fallback != nullptr) {
        keys->set_fallback(static_cast<std::uint32_t>(elements.size()));
        elements.push_back(fallback);
    }
    CompiledSet result{{std::move(*keys), set.value_length, {}, {}}, std::move(elements)};
    for (const auto* element : result.elements) {
        KeyBytes value = element->value;
        value.resize(set.value_length);
        auto& values = result.set.values;
        values.insert(values.end(), value.begin(), value.end());
    }
    return result;
}

}  // namespace nlvs::daemon
